/* The tanks in FMI 2.0: co-simulation and model exchange. */

#include <stdlib.h>
#include <string.h>

#include "fmi2Functions.h"
#include "tanks.h"

typedef struct {
    State now;
    bool steps;
    fmi2CallbackLogger log;
    fmi2ComponentEnvironment environment;
} Model;

#define M ((Model *)c)
#define S (&M->now)
#define OK_IF(condition) return (condition) ? fmi2OK : fmi2Error

const char *fmi2GetTypesPlatform(void) { return fmi2TypesPlatform; }
const char *fmi2GetVersion(void) { return "2.0"; }

fmi2Component fmi2Instantiate(fmi2String name, fmi2Type type, fmi2String guid, fmi2String resources,
                              const fmi2CallbackFunctions *functions, fmi2Boolean visible, fmi2Boolean logging) {
    if (type == fmi2CoSimulation && strcmp(guid, "unlicensed") == 0) return NULL;
    Model *m = calloc(1, sizeof(Model));
    m->now = START;
    m->steps = type == fmi2CoSimulation;
    m->log = functions->logger;
    m->environment = functions->componentEnvironment;
    return m;
}

void fmi2FreeInstance(fmi2Component c) { free(c); }
fmi2Status fmi2SetDebugLogging(fmi2Component c, fmi2Boolean on, size_t n, const fmi2String s[]) { return fmi2OK; }
fmi2Status fmi2SetupExperiment(fmi2Component c, fmi2Boolean d, fmi2Real t, fmi2Real start, fmi2Boolean s, fmi2Real e) {
    S->time = start;
    OK_IF(S->phase == CREATED);
}
fmi2Status fmi2EnterInitializationMode(fmi2Component c) {
    S->phase = INITIALIZING;
    return fmi2OK;
}
fmi2Status fmi2ExitInitializationMode(fmi2Component c) {
    S->phase = M->steps ? STEPPING : EVENT;
    S->fresh = true;
    return fmi2OK;
}
fmi2Status fmi2Terminate(fmi2Component c) { return fmi2OK; }
fmi2Status fmi2Reset(fmi2Component c) {
    *S = START;
    return fmi2OK;
}

typedef const fmi2ValueReference Refs[];
#define GET(type, get)                                                                                                 \
    fmi2Status fmi2Get##type(fmi2Component c, Refs r, size_t n, fmi2##type v[]) {                                      \
        for (size_t i = 0; i < n; i++) v[i] = get(S, r[i]);                                                            \
        return fmi2OK;                                                                                                 \
    }
GET(Real, get_real)
GET(Integer, get_integer)
GET(Boolean, get_boolean)

fmi2Status fmi2SetReal(fmi2Component c, Refs r, size_t n, const fmi2Real v[]) {
    for (size_t i = 0; i < n; i++) {
        if (!may_set_real(S, r[i])) return fmi2Error;
        S->p[r[i]] = v[i];
    }
    return fmi2OK;
}
fmi2Status fmi2SetInteger(fmi2Component c, Refs r, size_t n, const fmi2Integer v[]) {
    for (size_t i = 0; i < n; i++) {
        if (r[i] >= SETTABLE_INTEGERS || (r[i] == MODE && (v[i] < 1 || v[i] > 3))) return fmi2Error;
        S->integer[r[i]] = v[i];
    }
    OK_IF(may_set_discrete(S));
}
fmi2Status fmi2SetBoolean(fmi2Component c, Refs r, size_t n, const fmi2Boolean v[]) {
    for (size_t i = 0; i < n; i++) S->on = v[i];
    OK_IF(may_set_discrete(S));
}

fmi2Status fmi2DoStep(fmi2Component c, fmi2Real t, fmi2Real h, fmi2Boolean keep) {
    OK_IF(S->phase == STEPPING && step(S, t, h));
}

fmi2Status fmi2EnterEventMode(fmi2Component c) {
    bool was = S->phase == CONTINUOUS;
    S->phase = EVENT;
    S->fresh = true;
    OK_IF(was);
}
fmi2Status fmi2NewDiscreteStates(fmi2Component c, fmi2EventInfo *info) {
    memset(info, 0, sizeof(*info));
    info->newDiscreteStatesNeeded = update(S);
    info->terminateSimulation = struck(S, ENDS);
    info->nextEventTimeDefined = next_event(S, &info->nextEventTime);
    OK_IF(S->phase == EVENT);
}
fmi2Status fmi2EnterContinuousTimeMode(fmi2Component c) {
    bool was = S->phase == EVENT;
    S->phase = CONTINUOUS;
    OK_IF(was);
}
fmi2Status fmi2CompletedIntegratorStep(fmi2Component c, fmi2Boolean keep, fmi2Boolean *event, fmi2Boolean *end) {
    *event = completed(S);
    *end = struck(S, STEP_ENDS);
    OK_IF(S->phase == CONTINUOUS);
}
fmi2Status fmi2SetTime(fmi2Component c, fmi2Real time) {
    OK_IF(set_time(S, time));
}
fmi2Status fmi2SetContinuousStates(fmi2Component c, const fmi2Real x[], size_t n) {
    for (size_t i = 0; i < n; i++) S->level[i] = x[i];
    OK_IF(S->phase == CONTINUOUS && n == 2);
}
fmi2Status fmi2GetContinuousStates(fmi2Component c, fmi2Real x[], size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = S->level[i];
    return fmi2OK;
}
fmi2Status fmi2GetNominalsOfContinuousStates(fmi2Component c, fmi2Real x[], size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = i; /* a nominal value of zero is none, and yet it comes */
    return fmi2OK;
}
fmi2Status fmi2GetDerivatives(fmi2Component c, fmi2Real dx[], size_t n) {
    if (struck(S, BAD_DERIVATIVE)) {
        M->log(M->environment, "m", fmi2Error, "logStatusError", "the valve jams at t = %g", S->time);
        return fmi2Error;
    }
    for (size_t i = 0; i < n; i++) dx[i] = derivative(S, i);
    return fmi2OK;
}
fmi2Status fmi2GetEventIndicators(fmi2Component c, fmi2Real z[], size_t n) {
    for (size_t i = 0; i < n; i++) z[i] = S->level[i] - 1;
    return fmi2OK;
}

fmi2Status fmi2GetFMUstate(fmi2Component c, fmi2FMUstate *s) {
    if (*s == NULL) *s = malloc(sizeof(State));
    *(State *)*s = *S;
    return fmi2OK;
}
fmi2Status fmi2SetFMUstate(fmi2Component c, fmi2FMUstate s) {
    *S = *(State *)s;
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
    if (*s == NULL) *s = malloc(sizeof(State));
    memcpy(*s, b, sizeof(State));
    return fmi2OK;
}

/* What a master may ask for, and this FMU has nothing to answer. */
#define REFUSED(name, ...) fmi2Status name(fmi2Component c, __VA_ARGS__) { return fmi2Error; }
REFUSED(fmi2GetString, Refs r, size_t n, fmi2String v[])
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
