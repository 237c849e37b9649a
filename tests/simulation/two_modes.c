/* A co-simulation FMU with a known settled answer, and with every fault that an FMU may have, on request.

     x1' = (a u - x1) / fast        y1 = x1   settles at a u
     x2' = (b x1 - x2) / slow       y2 = x2   settles at a b u
                                    y3 = 3    never moves

   solved exactly, so that the only error is the settling's. `fault` strikes where a exceeds `threshold`. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fmi2Functions.h"

enum { A, B, U, FAST, SLOW, THRESHOLD, REALS, Y1 = REALS, Y2, Y3 };
enum {
    NONE, CRASH, HANG, ERROR, NOT_A_NUMBER, LIMIT_CYCLE, DISCARD, REFUSE, CRASH_ONCE, CHATTY, LEAKY, NO_RESET,
    CRASH_ON_RESTORE, NO_STATE, SLOW_STEPS, GROWING, POISONED
};

typedef struct {
    double p[REALS], x1, x2, time;
    int fault;
} State;

typedef struct {
    State now;
    fmi2CallbackLogger log;
    fmi2ComponentEnvironment environment;
    int euler;
} Model;

static const State START = {{1.0, 1.0, 1.0, 0.1, 16.0, 1e9}, 0.0, 0.0, 0.0, NONE};
static int leak = 0;
static void *volatile grown;

const char *fmi2GetTypesPlatform(void) { return fmi2TypesPlatform; }
const char *fmi2GetVersion(void) { return "2.0"; }

fmi2Component fmi2Instantiate(fmi2String name, fmi2Type type, fmi2String guid, fmi2String resources,
                              const fmi2CallbackFunctions *functions, fmi2Boolean visible, fmi2Boolean logging) {
    if (strcmp(guid, "none") == 0) return NULL;
    Model *m = calloc(1, sizeof(Model));
    m->now = START;
    m->euler = strcmp(guid, "euler") == 0;
    m->log = functions->logger;
    m->environment = functions->componentEnvironment;
    return m;
}

void fmi2FreeInstance(fmi2Component c) { free(c); }
fmi2Status fmi2SetDebugLogging(fmi2Component c, fmi2Boolean on, size_t n, const fmi2String s[]) { return fmi2OK; }
fmi2Status fmi2SetupExperiment(fmi2Component c, fmi2Boolean d, fmi2Real t, fmi2Real start, fmi2Boolean s, fmi2Real e) {
    ((Model *)c)->now.time = start;
    return fmi2OK;
}
fmi2Status fmi2EnterInitializationMode(fmi2Component c) { return fmi2OK; }
fmi2Status fmi2ExitInitializationMode(fmi2Component c) { return fmi2OK; }
fmi2Status fmi2Terminate(fmi2Component c) { return fmi2OK; }

fmi2Status fmi2Reset(fmi2Component c) {
    Model *m = c;
    if (m->now.fault == NO_RESET) return fmi2Error;
    m->now = START;
    return fmi2OK;
}

fmi2Status fmi2GetReal(fmi2Component c, const fmi2ValueReference r[], size_t n, fmi2Real v[]) {
    Model *m = c;
    for (size_t i = 0; i < n; i++) {
        switch (r[i]) {
        case Y1: v[i] = m->now.x1; break;
        case Y2:
            v[i] = m->now.x2;
            if (m->now.fault == LIMIT_CYCLE && m->now.p[A] > m->now.p[THRESHOLD])
                v[i] += 0.01 * sin(acos(-1.0) * m->now.time);
            break;
        case Y3: v[i] = 3.0 + (m->now.fault == LEAKY ? 1e-3 * leak : 0.0); break;
        default: v[i] = m->now.p[r[i]];
        }
    }
    return fmi2OK;
}

fmi2Status fmi2SetReal(fmi2Component c, const fmi2ValueReference r[], size_t n, const fmi2Real v[]) {
    Model *m = c;
    for (size_t i = 0; i < n; i++) {
        m->now.p[r[i]] = v[i];
        if (m->now.fault == REFUSE && r[i] == A && v[i] > m->now.p[THRESHOLD]) {
            m->log(m->environment, "m", fmi2Error, "logStatusError", "a = %g is too much for me", v[i]);
            return fmi2Error;
        }
    }
    leak++;
    return fmi2OK;
}

fmi2Status fmi2SetInteger(fmi2Component c, const fmi2ValueReference r[], size_t n, const fmi2Integer v[]) {
    if (n > 0 && v[0] < 0) return fmi2Error;
    if (n > 0) ((Model *)c)->now.fault = v[0];
    return fmi2OK;
}

static void crash_once(void) {
    const char *marker = getenv("TWO_MODES_MARKER");
    if (marker == NULL || access(marker, F_OK) == 0) return;
    fclose(fopen(marker, "w"));
    abort();
}

static fmi2Status strike(Model *m, double time) {
    switch (m->now.fault) {
    case CRASH: fprintf(stderr, "bearing seized\n"); abort();
    case HANG: for (;;) sleep(1);
    case ERROR:
        m->log(m->environment, "m", fmi2Error, "logStatusError", "no convergence at t = %g in %s", time, "doStep");
        return fmi2Error;
    case NOT_A_NUMBER: m->now.x1 = NAN; return fmi2OK;
    case DISCARD: return fmi2Discard;
    case CRASH_ONCE: crash_once(); return fmi2OK;
    case CHATTY: printf("chatter\n"); return fmi2OK;
    case SLOW_STEPS: usleep(20000); return fmi2OK;
    case GROWING: memset(grown = malloc(1 << 20), 1, 1 << 20); return fmi2OK;
    default: return fmi2OK;
    }
}

fmi2Status fmi2DoStep(fmi2Component c, fmi2Real t, fmi2Real h, fmi2Boolean keep) {
    Model *m = c;
    const double *p = m->now.p, end = p[A] * p[U];
    const double from_end = m->now.x1 - end, share = p[FAST] / (p[FAST] - p[SLOW]) * p[B] * from_end;
    if (fabs(t - m->now.time) > 1e-9) return fmi2Error; /* the master lost count */
    /* By Euler's explicit method, whatever a: of a time constant half as long, stable in
       steps below FAST. */
    m->now.x1 = end + from_end * (m->euler ? 1.0 - 2.0 * h / p[FAST] : exp(-h / p[FAST]));
    m->now.x2 = p[B] * end + (m->now.x2 - p[B] * end - share) * exp(-h / p[SLOW]) + share * exp(-h / p[FAST]);
    m->now.time = t + h;
    return p[A] > p[THRESHOLD] ? strike(m, t) : fmi2OK;
}

fmi2Status fmi2GetFMUstate(fmi2Component c, fmi2FMUstate *s) {
    if (((Model *)c)->now.fault == NO_STATE) return fmi2Error;
    if (*s == NULL) *s = malloc(sizeof(State));
    *(State *)*s = ((Model *)c)->now;
    return fmi2OK;
}
fmi2Status fmi2SetFMUstate(fmi2Component c, fmi2FMUstate s) {
    ((Model *)c)->now = *(State *)s;
    return fmi2OK;
}
fmi2Status fmi2FreeFMUstate(fmi2Component c, fmi2FMUstate *s) {
    free(*s);
    *s = NULL;
    return fmi2OK;
}
fmi2Status fmi2SerializedFMUstateSize(fmi2Component c, fmi2FMUstate s, size_t *n) {
    *n = sizeof(State);
    return fmi2OK;
}
fmi2Status fmi2SerializeFMUstate(fmi2Component c, fmi2FMUstate s, fmi2Byte b[], size_t n) {
    memcpy(b, s, sizeof(State));
    return fmi2OK;
}
fmi2Status fmi2DeSerializeFMUstate(fmi2Component c, const fmi2Byte b[], size_t n, fmi2FMUstate *s) {
    if (((Model *)c)->now.fault == CRASH_ON_RESTORE) abort();
    if (*s == NULL) *s = malloc(sizeof(State));
    memcpy(*s, b, sizeof(State));
    if (((Model *)c)->now.fault == POISONED) ((State *)*s)->x2 = NAN;
    return fmi2OK;
}

/* What a master may ask for, and this FMU has nothing to answer. */
#define REFUSED(name, ...) fmi2Status name(fmi2Component c, __VA_ARGS__) { return fmi2Error; }
typedef const fmi2ValueReference Refs[];
REFUSED(fmi2GetInteger, Refs r, size_t n, fmi2Integer v[])
REFUSED(fmi2GetBoolean, Refs r, size_t n, fmi2Boolean v[])
REFUSED(fmi2GetString, Refs r, size_t n, fmi2String v[])
REFUSED(fmi2SetBoolean, Refs r, size_t n, const fmi2Boolean v[])
REFUSED(fmi2SetString, Refs r, size_t n, const fmi2String v[])
REFUSED(fmi2GetDirectionalDerivative, Refs u, size_t n, Refs k, size_t m, const fmi2Real d[], fmi2Real v[])
REFUSED(fmi2SetRealInputDerivatives, Refs r, size_t n, const fmi2Integer o[], const fmi2Real v[])
REFUSED(fmi2GetRealOutputDerivatives, Refs r, size_t n, const fmi2Integer o[], fmi2Real v[])
REFUSED(fmi2GetStatus, const fmi2StatusKind k, fmi2Status *v)
REFUSED(fmi2GetRealStatus, const fmi2StatusKind k, fmi2Real *v)
REFUSED(fmi2GetIntegerStatus, const fmi2StatusKind k, fmi2Integer *v)
REFUSED(fmi2GetBooleanStatus, const fmi2StatusKind k, fmi2Boolean *v)
REFUSED(fmi2GetStringStatus, const fmi2StatusKind k, fmi2String *v)
fmi2Status fmi2CancelStep(fmi2Component c) { return fmi2Error; }
