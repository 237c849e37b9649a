/* The tanks in FMI 3.0: co-simulation and model exchange; gains, levels and flows are arrays. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fmi3PlatformTypes.h"
#include "fmi3FunctionTypes.h"
#include "tanks.h"

/* Value references: one space for all types. */
enum {
    V_SIZE, V_GAIN, V_TAU, V_U, V_TRIM, V_OPENS, V_LEVEL, V_FLOW, V_DER, V_INDICATORS,
    V_N, V_MODE, V_FAULT, V_COUNT, V_KIND, V_ON, V_RUNNING, V_LATCHED, V_LABEL
};

typedef struct {
    State now;
    bool steps;
    fmi3LogMessageCallback log;
    fmi3InstanceEnvironment environment;
} Model;

#define M ((Model *)c)
#define S (&M->now)
#define F fmi3Status
#define OK_IF(condition) return (condition) ? fmi3OK : fmi3Error

/* First of a variable's reals in the model, and how many it has. */
static int first_real(unsigned reference, int *count) {
    static const struct { int first, count; } REALS[] = {
        [V_GAIN] = {GAIN1, 2}, [V_TAU] = {TAU1, 2}, [V_U] = {U, 1}, [V_TRIM] = {TRIM, 1}, [V_OPENS] = {OPENS, 1},
        [V_LEVEL] = {LEVEL1, 2}, [V_FLOW] = {FLOW11, 4}, [V_DER] = {DER1, 2}
    };
    *count = REALS[reference].count;
    return REALS[reference].first;
}

const char *fmi3GetVersion(void) { return "3.0"; }

static fmi3Instance instantiate(fmi3String token, bool steps, void *environment, fmi3LogMessageCallback log) {
    if (strcmp(token, "none") == 0) return NULL;
    Model *m = calloc(1, sizeof(Model));
    m->now = START;
    m->steps = steps;
    m->log = log;
    m->environment = environment;
    return m;
}
fmi3Instance fmi3InstantiateModelExchange(fmi3String name, fmi3String token, fmi3String resources, fmi3Boolean visible,
                                          fmi3Boolean logging, fmi3InstanceEnvironment e, fmi3LogMessageCallback log) {
    return instantiate(token, false, e, log);
}
fmi3Instance fmi3InstantiateCoSimulation(fmi3String name, fmi3String token, fmi3String resources, fmi3Boolean visible,
                                         fmi3Boolean logging, fmi3Boolean events, fmi3Boolean early,
                                         const fmi3ValueReference r[], size_t n, fmi3InstanceEnvironment e,
                                         fmi3LogMessageCallback log, fmi3IntermediateUpdateCallback update) {
    return events || early ? NULL : instantiate(token, true, e, log);
}

void fmi3FreeInstance(fmi3Instance c) { free(c); }
F fmi3EnterInitializationMode(fmi3Instance c, fmi3Boolean d, fmi3Float64 t, fmi3Float64 start, fmi3Boolean s, fmi3Float64 e) {
    bool was = S->phase == CREATED;
    S->time = start;
    S->phase = INITIALIZING;
    OK_IF(was);
}
F fmi3ExitInitializationMode(fmi3Instance c) {
    S->phase = M->steps ? STEPPING : EVENT;
    S->fresh = true;
    return fmi3OK;
}
F fmi3Reset(fmi3Instance c) {
    *S = START;
    return fmi3OK;
}

F fmi3GetFloat64(fmi3Instance c, const fmi3ValueReference r[], size_t n, fmi3Float64 v[], size_t m) {
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        int count, first = first_real(r[i], &count);
        for (int j = 0; j < count && k < m; j++) v[k++] = get_real(S, first + j);
    }
    OK_IF(k == m);
}
F fmi3SetFloat64(fmi3Instance c, const fmi3ValueReference r[], size_t n, const fmi3Float64 v[], size_t m) {
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        int count, first = first_real(r[i], &count);
        for (int j = 0; j < count && k < m; j++) {
            if (!may_set_real(S, first + j)) return fmi3Error;
            S->p[first + j] = v[k++];
        }
    }
    OK_IF(k == m);
}
F fmi3GetFloat32(fmi3Instance c, const fmi3ValueReference r[], size_t n, fmi3Float32 v[], size_t m) {
    v[0] = S->p[TRIM];
    OK_IF(n == 1 && m == 1 && r[0] == V_TRIM);
}
F fmi3SetFloat32(fmi3Instance c, const fmi3ValueReference r[], size_t n, const fmi3Float32 v[], size_t m) {
    S->p[TRIM] = v[0];
    OK_IF(n == 1 && m == 1 && r[0] == V_TRIM && may_set_real(S, TRIM));
}

static int integer_of(unsigned reference) {
    return reference == V_COUNT ? COUNT : reference == V_KIND ? KIND : (int)reference - V_N;
}
#define INTEGERS(name, type)                                                                                           \
    F fmi3Get##name(fmi3Instance c, const fmi3ValueReference r[], size_t n, type v[], size_t m) {                      \
        for (size_t i = 0; i < n; i++) v[i] = get_integer(S, integer_of(r[i]));                                        \
        OK_IF(n == m);                                                                                                 \
    }                                                                                                                  \
    F fmi3Set##name(fmi3Instance c, const fmi3ValueReference r[], size_t n, const type v[], size_t m) {                \
        for (size_t i = 0; i < n; i++) {                                                                               \
            int which = integer_of(r[i]);                                                                              \
            if (which >= SETTABLE_INTEGERS || (which == MODE && (v[i] < 1 || v[i] > 3))) return fmi3Error;             \
            S->integer[which] = v[i];                                                                                  \
        }                                                                                                              \
        OK_IF(n == m && may_set_discrete(S));                                                                          \
    }
INTEGERS(Int8, int8_t)
INTEGERS(Int32, int32_t)
INTEGERS(UInt16, uint16_t)
INTEGERS(Int64, int64_t)

F fmi3GetBoolean(fmi3Instance c, const fmi3ValueReference r[], size_t n, fmi3Boolean v[], size_t m) {
    for (size_t i = 0; i < n; i++) v[i] = get_boolean(S, r[i] - V_ON);
    OK_IF(n == m);
}
F fmi3SetBoolean(fmi3Instance c, const fmi3ValueReference r[], size_t n, const fmi3Boolean v[], size_t m) {
    for (size_t i = 0; i < n; i++) S->on = v[i];
    OK_IF(n == m && may_set_discrete(S));
}

F fmi3DoStep(fmi3Instance c, fmi3Float64 t, fmi3Float64 h, fmi3Boolean keep, fmi3Boolean *event, fmi3Boolean *end,
             fmi3Boolean *early, fmi3Float64 *last) {
    *event = *early = false;
    *end = struck(S, ENDS);
    *last = t + h;
    OK_IF(S->phase == STEPPING && step(S, t, h));
}

F fmi3EnterEventMode(fmi3Instance c) {
    bool was = S->phase == CONTINUOUS;
    S->phase = EVENT;
    S->fresh = true;
    OK_IF(was);
}
F fmi3UpdateDiscreteStates(fmi3Instance c, fmi3Boolean *again, fmi3Boolean *end, fmi3Boolean *nominals,
                           fmi3Boolean *values, fmi3Boolean *known, fmi3Float64 *next) {
    *again = update(S);
    *end = struck(S, ENDS);
    *nominals = *values = false;
    *known = next_event(S, next);
    OK_IF(S->phase == EVENT);
}
F fmi3EnterContinuousTimeMode(fmi3Instance c) {
    bool was = S->phase == EVENT;
    S->phase = CONTINUOUS;
    OK_IF(was);
}
F fmi3CompletedIntegratorStep(fmi3Instance c, fmi3Boolean keep, fmi3Boolean *event, fmi3Boolean *end) {
    *event = completed(S);
    *end = struck(S, STEP_ENDS);
    OK_IF(S->phase == CONTINUOUS);
}
F fmi3SetTime(fmi3Instance c, fmi3Float64 time) {
    OK_IF(set_time(S, time));
}
F fmi3SetContinuousStates(fmi3Instance c, const fmi3Float64 x[], size_t n) {
    for (size_t i = 0; i < n; i++) S->level[i] = x[i];
    OK_IF(S->phase == CONTINUOUS && n == 2);
}
F fmi3GetContinuousStates(fmi3Instance c, fmi3Float64 x[], size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = S->level[i];
    return fmi3OK;
}
F fmi3GetNominalsOfContinuousStates(fmi3Instance c, fmi3Float64 x[], size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = 1;
    return fmi3OK;
}
F fmi3GetContinuousStateDerivatives(fmi3Instance c, fmi3Float64 dx[], size_t n) {
    if (struck(S, BAD_DERIVATIVE)) {
        M->log(M->environment, fmi3Error, "logStatusError", "the valve jams");
        return fmi3Error;
    }
    for (size_t i = 0; i < n; i++) dx[i] = derivative(S, i);
    return fmi3OK;
}
F fmi3GetEventIndicators(fmi3Instance c, fmi3Float64 z[], size_t n) {
    for (size_t i = 0; i < n; i++) z[i] = S->level[i] - 1;
    return fmi3OK;
}
F fmi3GetNumberOfEventIndicators(fmi3Instance c, size_t *n) {
    *n = 2;
    return fmi3OK;
}
F fmi3GetNumberOfContinuousStates(fmi3Instance c, size_t *n) {
    *n = 2;
    return fmi3OK;
}

F fmi3GetFMUState(fmi3Instance c, fmi3FMUState *s) {
    if (*s == NULL) *s = malloc(sizeof(State));
    *(State *)*s = *S;
    return fmi3OK;
}
F fmi3SetFMUState(fmi3Instance c, fmi3FMUState s) {
    *S = *(State *)s;
    return fmi3OK;
}
F fmi3FreeFMUState(fmi3Instance c, fmi3FMUState *s) {
    free(*s);
    *s = NULL;
    return fmi3OK;
}
F fmi3SerializedFMUStateSize(fmi3Instance c, fmi3FMUState s, size_t *n) {
    *n = sizeof(State);
    return fmi3OK;
}
F fmi3SerializeFMUState(fmi3Instance c, fmi3FMUState s, fmi3Byte b[], size_t n) {
    memcpy(b, s, sizeof(State));
    return fmi3OK;
}
F fmi3DeserializeFMUState(fmi3Instance c, const fmi3Byte b[], size_t n, fmi3FMUState *s) {
    if (*s == NULL) *s = malloc(sizeof(State));
    memcpy(*s, b, sizeof(State));
    return fmi3OK;
}

/* What has to be there and is never called: refused, whatever the arguments. */
#define REFUSED(name) F name(void) { return fmi3Error; }
REFUSED(fmi3InstantiateScheduledExecution) REFUSED(fmi3SetDebugLogging) REFUSED(fmi3Terminate)
REFUSED(fmi3GetUInt8) REFUSED(fmi3GetInt16) REFUSED(fmi3GetUInt32) REFUSED(fmi3GetUInt64) REFUSED(fmi3GetString)
REFUSED(fmi3SetUInt8) REFUSED(fmi3SetInt16) REFUSED(fmi3SetUInt32) REFUSED(fmi3SetUInt64) REFUSED(fmi3SetString)
REFUSED(fmi3GetBinary) REFUSED(fmi3GetClock) REFUSED(fmi3SetBinary) REFUSED(fmi3SetClock)
REFUSED(fmi3GetNumberOfVariableDependencies) REFUSED(fmi3GetVariableDependencies)
REFUSED(fmi3GetDirectionalDerivative) REFUSED(fmi3GetAdjointDerivative)
REFUSED(fmi3EnterConfigurationMode) REFUSED(fmi3ExitConfigurationMode)
REFUSED(fmi3GetIntervalDecimal) REFUSED(fmi3GetIntervalFraction) REFUSED(fmi3GetShiftDecimal)
REFUSED(fmi3GetShiftFraction) REFUSED(fmi3SetIntervalDecimal) REFUSED(fmi3SetIntervalFraction)
REFUSED(fmi3SetShiftDecimal) REFUSED(fmi3SetShiftFraction) REFUSED(fmi3EvaluateDiscreteStates)
REFUSED(fmi3EnterStepMode) REFUSED(fmi3GetOutputDerivatives) REFUSED(fmi3ActivateModelPartition)
