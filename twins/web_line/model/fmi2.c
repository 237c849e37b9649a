/* FMI 2.0 co-simulation interface of the line.
 *
 * Every function checks the instance's mode and its arguments; what is refused is said through the importer's logger
 * and leaves the instance as it was. */
#include <fmi2Functions.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "integrator.h"
#include "web_line.h"

typedef enum { KIND_TUNABLE, KIND_INPUT, KIND_FIXED } Kind;

typedef struct {
  const char *name;
  Kind kind;
  double start, min, max;
} Settable;

static const Settable SETTABLE[SETTABLES] = {
#define TUNABLE(name, unit, start, min, max, text) {#name, KIND_TUNABLE, start, min, max},
#define INPUT(name, unit, start, min, max, text) {#name, KIND_INPUT, start, min, max},
#define FIXED(name, unit, start, min, max, text) {#name, KIND_FIXED, start, min, max},
#include "variables.def"
};

typedef enum { INSTANTIATED = 1, INITIALIZATION = 2, STEPPING = 4, TERMINATED = 8 } Mode;
enum { ANY_MODE = INSTANTIATED | INITIALIZATION | STEPPING | TERMINATED, PREPARING = INSTANTIATED | INITIALIZATION };

static const double TOLERANCE = 1e-5, FIRST_STEP_S = 1e-3;

/* All that a prediction depends on; what an FMU state holds. */
typedef struct {
  Mode mode;
  int settled; /* y is the settled state of p: false while p changes before the first step */
  double time, tolerance, step;
  double p[SETTABLES], y[STATES];
} State;

typedef struct {
  State state;
  fmi2CallbackFunctions callbacks;
  char name[256];
} Instance;

static const char *MODE_NAME[] = {"instantiated", "initialization", "stepping", "terminated"};

static const char *mode_name(Mode mode) {
  return MODE_NAME[mode == INSTANTIATED ? 0 : mode == INITIALIZATION ? 1 : mode == STEPPING ? 2 : 3];
}

/* Messages hold no '%': FMI takes them as printf formats. */
static fmi2Status refuse(const Instance *self, const char *message) {
  if (self && self->callbacks.logger)
    self->callbacks.logger(self->callbacks.componentEnvironment, self->name, fmi2Error, "logStatusError", message);
  return fmi2Error;
}

static int allowed(const Instance *self, unsigned modes, const char *function) {
  char text[200];
  if (!self) return 0;
  if (self->state.mode & modes) return 1;
  snprintf(text, sizeof text, "%s: not allowed while the model is in mode '%s'", function,
           mode_name(self->state.mode));
  refuse(self, text);
  return 0;
}

static fmi2Status refuse_reference(const Instance *self, const char *function, fmi2ValueReference reference) {
  char text[200];
  snprintf(text, sizeof text, "%s: there is no such variable with value reference %lu", function,
           (unsigned long)reference);
  return refuse(self, text);
}

static fmi2Status unsupported(fmi2Component c, const char *function) {
  char text[200];
  snprintf(text, sizeof text, "%s: not offered by this model (see its capabilities)", function);
  return refuse(c, text);
}

/* Before the first step the state is the settled one of the current values. */
static fmi2Status settle(Instance *self) {
  State *state = &self->state;
  if (state->settled) return fmi2OK;
  Line line = web_line_of(state->p);
  if (web_line_settled(&line, state->y) != 0)
    return refuse(self, "the line has no settled state with a taut web for these parameters and set points");
  state->settled = 1;
  return fmi2OK;
}

static void start_values(State *state) {
  memset(state, 0, sizeof *state);
  state->mode = INSTANTIATED;
  state->tolerance = TOLERANCE;
  state->step = FIRST_STEP_S;
  for (int i = 0; i < SETTABLES; i++) state->p[i] = SETTABLE[i].start;
}

static fmi2Component no_instance(const Instance *probe, const char *message) {
  refuse(probe, message);
  return NULL;
}

/* ---- Life of an instance ------------------------------------------------------------------------------------- */

const char *fmi2GetTypesPlatform(void) { return fmi2TypesPlatform; }

const char *fmi2GetVersion(void) { return fmi2Version; }

fmi2Status fmi2SetDebugLogging(fmi2Component c, fmi2Boolean loggingOn, size_t nCategories,
                               const fmi2String categories[]) {
  (void)loggingOn; /* only errors are logged, and those always */
  for (size_t i = 0; i < nCategories; i++)
    if (!categories || !categories[i] || strcmp(categories[i], "logStatusError") != 0)
      return refuse(c, "fmi2SetDebugLogging: the only category is logStatusError");
  return c ? fmi2OK : fmi2Error;
}

fmi2Component fmi2Instantiate(fmi2String instanceName, fmi2Type fmuType, fmi2String fmuGUID,
                              fmi2String fmuResourceLocation, const fmi2CallbackFunctions *functions,
                              fmi2Boolean visible, fmi2Boolean loggingOn) {
  (void)fmuResourceLocation, (void)visible, (void)loggingOn;
  if (!functions || !functions->allocateMemory || !functions->freeMemory) return NULL;
  Instance probe = {.callbacks = *functions};
  snprintf(probe.name, sizeof probe.name, "%s", instanceName ? instanceName : "");
  if (!instanceName || !*instanceName) return no_instance(&probe, "fmi2Instantiate: the instance has no name");
  if (fmuType != fmi2CoSimulation) return no_instance(&probe, "fmi2Instantiate: only co-simulation is offered");
  if (!fmuGUID || strcmp(fmuGUID, MODEL_GUID) != 0)
    return no_instance(&probe, "fmi2Instantiate: the GUID is another model's: modelDescription.xml and binary differ");
  Instance *self = functions->allocateMemory(1, sizeof *self);
  if (!self) return no_instance(&probe, "fmi2Instantiate: out of memory");
  *self = probe;
  start_values(&self->state);
  return self;
}

void fmi2FreeInstance(fmi2Component c) {
  Instance *self = c;
  if (self) self->callbacks.freeMemory(self);
}

fmi2Status fmi2SetupExperiment(fmi2Component c, fmi2Boolean toleranceDefined, fmi2Real tolerance, fmi2Real startTime,
                               fmi2Boolean stopTimeDefined, fmi2Real stopTime) {
  Instance *self = c;
  if (!allowed(self, INSTANTIATED, "fmi2SetupExperiment")) return fmi2Error;
  if (!isfinite(startTime) || (stopTimeDefined && !(stopTime > startTime)))
    return refuse(self, "fmi2SetupExperiment: finite times with start before stop are expected");
  if (toleranceDefined && !(tolerance > 0.0 && tolerance < 1.0))
    return refuse(self, "fmi2SetupExperiment: a tolerance between 0 and 1 is expected");
  self->state.time = startTime;
  /* looser than the default gains nothing, much tighter than 1e-10 meets rounding */
  if (toleranceDefined)
    self->state.tolerance = tolerance > TOLERANCE ? TOLERANCE : tolerance < 1e-10 ? 1e-10 : tolerance;
  return fmi2OK;
}

fmi2Status fmi2EnterInitializationMode(fmi2Component c) {
  Instance *self = c;
  if (!allowed(self, INSTANTIATED, "fmi2EnterInitializationMode")) return fmi2Error;
  self->state.mode = INITIALIZATION;
  return fmi2OK;
}

fmi2Status fmi2ExitInitializationMode(fmi2Component c) {
  Instance *self = c;
  if (!allowed(self, INITIALIZATION, "fmi2ExitInitializationMode")) return fmi2Error;
  if (settle(self) != fmi2OK) return fmi2Error;
  self->state.mode = STEPPING;
  return fmi2OK;
}

fmi2Status fmi2Terminate(fmi2Component c) {
  Instance *self = c;
  if (!allowed(self, STEPPING, "fmi2Terminate")) return fmi2Error;
  self->state.mode = TERMINATED;
  return fmi2OK;
}

fmi2Status fmi2Reset(fmi2Component c) {
  Instance *self = c;
  if (!self) return fmi2Error;
  start_values(&self->state);
  return fmi2OK;
}

/* ---- Values -------------------------------------------------------------------------------------------------- */

fmi2Status fmi2GetReal(fmi2Component c, const fmi2ValueReference vr[], size_t nvr, fmi2Real value[]) {
  Instance *self = c;
  double out[OUTPUTS];
  int computed = 0;
  if (!allowed(self, ANY_MODE, "fmi2GetReal")) return fmi2Error;
  if (nvr && (!vr || !value)) return refuse(self, "fmi2GetReal: null array");
  for (size_t i = 0; i < nvr; i++) {
    if (vr[i] >= SETTABLES + OUTPUTS) return refuse_reference(self, "fmi2GetReal", vr[i]);
    if (vr[i] >= SETTABLES && !computed) {
      if (settle(self) != fmi2OK) return fmi2Error;
      Line line = web_line_of(self->state.p);
      web_line_outputs(&line, self->state.y, out);
      computed = 1;
    }
    value[i] = vr[i] < SETTABLES ? self->state.p[vr[i]] : out[vr[i] - SETTABLES];
  }
  return fmi2OK;
}

static fmi2Status check_value(const Instance *self, fmi2ValueReference reference, double value) {
  char text[300];
  if (reference >= SETTABLES + OUTPUTS) return refuse_reference(self, "fmi2SetReal", reference);
  if (reference >= SETTABLES) return refuse(self, "fmi2SetReal: an output cannot be set");
  const Settable *variable = &SETTABLE[reference];
  if (variable->kind == KIND_FIXED && !(self->state.mode & PREPARING)) {
    snprintf(text, sizeof text, "fmi2SetReal: %s is fixed: set it before the end of initialization", variable->name);
    return refuse(self, text);
  }
  if (value >= variable->min && value <= variable->max) return fmi2OK; /* false for NaN */
  snprintf(text, sizeof text, "fmi2SetReal: %s = %g is out of its range [%g, %g]", variable->name, value,
           variable->min, variable->max);
  return refuse(self, text);
}

fmi2Status fmi2SetReal(fmi2Component c, const fmi2ValueReference vr[], size_t nvr, const fmi2Real value[]) {
  Instance *self = c;
  if (!allowed(self, PREPARING | STEPPING, "fmi2SetReal")) return fmi2Error;
  if (nvr && (!vr || !value)) return refuse(self, "fmi2SetReal: null array");
  for (size_t i = 0; i < nvr; i++) /* all or nothing */
    if (check_value(self, vr[i], value[i]) != fmi2OK) return fmi2Error;
  for (size_t i = 0; i < nvr; i++) self->state.p[vr[i]] = value[i];
  if (nvr && (self->state.mode & PREPARING)) self->state.settled = 0;
  return fmi2OK;
}

/* All variables are Real: any reference of another type is an unknown one. */
static fmi2Status none_of_type(fmi2Component c, const char *function, const fmi2ValueReference vr[], size_t nvr) {
  if (!allowed(c, ANY_MODE, function)) return fmi2Error;
  if (nvr == 0) return fmi2OK;
  return vr ? refuse_reference(c, function, vr[0]) : refuse(c, "null array");
}

fmi2Status fmi2GetInteger(fmi2Component c, const fmi2ValueReference vr[], size_t nvr, fmi2Integer value[]) {
  (void)value;
  return none_of_type(c, "fmi2GetInteger", vr, nvr);
}

fmi2Status fmi2GetBoolean(fmi2Component c, const fmi2ValueReference vr[], size_t nvr, fmi2Boolean value[]) {
  (void)value;
  return none_of_type(c, "fmi2GetBoolean", vr, nvr);
}

fmi2Status fmi2GetString(fmi2Component c, const fmi2ValueReference vr[], size_t nvr, fmi2String value[]) {
  (void)value;
  return none_of_type(c, "fmi2GetString", vr, nvr);
}

fmi2Status fmi2SetInteger(fmi2Component c, const fmi2ValueReference vr[], size_t nvr, const fmi2Integer value[]) {
  (void)value;
  return none_of_type(c, "fmi2SetInteger", vr, nvr);
}

fmi2Status fmi2SetBoolean(fmi2Component c, const fmi2ValueReference vr[], size_t nvr, const fmi2Boolean value[]) {
  (void)value;
  return none_of_type(c, "fmi2SetBoolean", vr, nvr);
}

fmi2Status fmi2SetString(fmi2Component c, const fmi2ValueReference vr[], size_t nvr, const fmi2String value[]) {
  (void)value;
  return none_of_type(c, "fmi2SetString", vr, nvr);
}

/* ---- Steps --------------------------------------------------------------------------------------------------- */

/* The model has no explicit time: the importer's clock is taken as it is, also after a state was set back. */
fmi2Status fmi2DoStep(fmi2Component c, fmi2Real currentCommunicationPoint, fmi2Real communicationStepSize,
                      fmi2Boolean noSetFMUStatePriorToCurrentPoint) {
  Instance *self = c;
  char text[200];
  (void)noSetFMUStatePriorToCurrentPoint;
  if (!allowed(self, STEPPING, "fmi2DoStep")) return fmi2Error;
  if (!isfinite(currentCommunicationPoint) || !isfinite(communicationStepSize) || !(communicationStepSize > 0.0))
    return refuse(self, "fmi2DoStep: a finite time and a step size greater than zero are expected");
  State next = self->state;
  double end = currentCommunicationPoint + communicationStepSize;
  Line line = web_line_of(next.p);
  Outcome outcome = integrate(&line, next.y, communicationStepSize, next.tolerance, &next.step);
  if (outcome == SLACK)
    snprintf(text, sizeof text, "fmi2DoStep: the web goes slack in span %d before %g s", web_line_slack_span(next.y),
             end);
  if (outcome == TOO_STIFF)
    snprintf(text, sizeof text, "fmi2DoStep: the integration cannot reach %g s: steps too small or too many", end);
  if (outcome != INTEGRATED) return refuse(self, text);
  next.time = end;
  self->state = next;
  return fmi2OK;
}

fmi2Status fmi2CancelStep(fmi2Component c) { return unsupported(c, "fmi2CancelStep"); }

fmi2Status fmi2SetRealInputDerivatives(fmi2Component c, const fmi2ValueReference vr[], size_t nvr,
                                       const fmi2Integer order[], const fmi2Real value[]) {
  (void)vr, (void)nvr, (void)order, (void)value;
  return unsupported(c, "fmi2SetRealInputDerivatives");
}

fmi2Status fmi2GetRealOutputDerivatives(fmi2Component c, const fmi2ValueReference vr[], size_t nvr,
                                        const fmi2Integer order[], fmi2Real value[]) {
  (void)vr, (void)nvr, (void)order, (void)value;
  return unsupported(c, "fmi2GetRealOutputDerivatives");
}

fmi2Status fmi2GetDirectionalDerivative(fmi2Component c, const fmi2ValueReference vUnknown_ref[], size_t nUnknown,
                                        const fmi2ValueReference vKnown_ref[], size_t nKnown,
                                        const fmi2Real dvKnown[], fmi2Real dvUnknown[]) {
  (void)vUnknown_ref, (void)nUnknown, (void)vKnown_ref, (void)nKnown, (void)dvKnown, (void)dvUnknown;
  return unsupported(c, "fmi2GetDirectionalDerivative");
}

/* Steps end before fmi2DoStep returns: nothing is ever pending. */
fmi2Status fmi2GetStatus(fmi2Component c, const fmi2StatusKind s, fmi2Status *value) {
  (void)s, (void)value;
  return c ? fmi2Discard : fmi2Error;
}

fmi2Status fmi2GetRealStatus(fmi2Component c, const fmi2StatusKind s, fmi2Real *value) {
  Instance *self = c;
  if (!self || !value) return fmi2Error;
  if (s != fmi2LastSuccessfulTime) return fmi2Discard;
  *value = self->state.time;
  return fmi2OK;
}

fmi2Status fmi2GetIntegerStatus(fmi2Component c, const fmi2StatusKind s, fmi2Integer *value) {
  (void)s, (void)value;
  return c ? fmi2Discard : fmi2Error;
}

fmi2Status fmi2GetBooleanStatus(fmi2Component c, const fmi2StatusKind s, fmi2Boolean *value) {
  if (!c || !value) return fmi2Error;
  if (s != fmi2Terminated) return fmi2Discard;
  *value = fmi2False; /* the model never ends a simulation by itself */
  return fmi2OK;
}

fmi2Status fmi2GetStringStatus(fmi2Component c, const fmi2StatusKind s, fmi2String *value) {
  (void)s, (void)value;
  return c ? fmi2Discard : fmi2Error;
}

/* ---- States -------------------------------------------------------------------------------------------------- */

fmi2Status fmi2GetFMUstate(fmi2Component c, fmi2FMUstate *FMUstate) {
  Instance *self = c;
  if (!allowed(self, ANY_MODE, "fmi2GetFMUstate")) return fmi2Error;
  if (!FMUstate) return refuse(self, "fmi2GetFMUstate: null pointer");
  State *copy = *FMUstate ? *FMUstate : self->callbacks.allocateMemory(1, sizeof *copy);
  if (!copy) return refuse(self, "fmi2GetFMUstate: out of memory");
  *copy = self->state;
  *FMUstate = copy;
  return fmi2OK;
}

fmi2Status fmi2SetFMUstate(fmi2Component c, fmi2FMUstate FMUstate) {
  Instance *self = c;
  if (!allowed(self, ANY_MODE, "fmi2SetFMUstate")) return fmi2Error;
  if (!FMUstate) return refuse(self, "fmi2SetFMUstate: null state");
  self->state = *(const State *)FMUstate;
  return fmi2OK;
}

fmi2Status fmi2FreeFMUstate(fmi2Component c, fmi2FMUstate *FMUstate) {
  Instance *self = c;
  if (!self) return fmi2Error;
  if (FMUstate && *FMUstate) {
    self->callbacks.freeMemory(*FMUstate);
    *FMUstate = NULL;
  }
  return fmi2OK;
}

/* A serialized state: GUID of the model, numbers as little-endian IEEE doubles, FNV-1a checksum of all before it. The
 * same bytes on every platform; a state of another version of the model, or a damaged one, is refused. */
enum {
  GUID_BYTES = sizeof MODEL_GUID - 1,
  NUMBERS = 5 + SETTABLES + STATES,
  CHECKED_BYTES = GUID_BYTES + 8 * NUMBERS,
  SERIALIZED_BYTES = CHECKED_BYTES + 8
};

static void put_word(uint64_t word, unsigned char *bytes) {
  for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(word >> (8 * i));
}

static uint64_t get_word(const unsigned char *bytes) {
  uint64_t word = 0;
  for (int i = 7; i >= 0; i--) word = word << 8 | bytes[i];
  return word;
}

static uint64_t checksum(const unsigned char *bytes) {
  uint64_t hash = UINT64_C(14695981039346656037);
  for (size_t i = 0; i < CHECKED_BYTES; i++) hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
  return hash;
}

static void to_numbers(const State *state, double numbers[NUMBERS]) {
  double head[5] = {state->mode, state->settled, state->time, state->tolerance, state->step};
  memcpy(numbers, head, sizeof head);
  memcpy(numbers + 5, state->p, sizeof state->p);
  memcpy(numbers + 5 + SETTABLES, state->y, sizeof state->y);
}

static void from_numbers(const double numbers[NUMBERS], State *state) {
  state->mode = (Mode)(int)numbers[0];
  state->settled = (int)numbers[1];
  state->time = numbers[2];
  state->tolerance = numbers[3];
  state->step = numbers[4];
  memcpy(state->p, numbers + 5, sizeof state->p);
  memcpy(state->y, numbers + 5 + SETTABLES, sizeof state->y);
}

fmi2Status fmi2SerializedFMUstateSize(fmi2Component c, fmi2FMUstate FMUstate, size_t *size) {
  if (!allowed(c, ANY_MODE, "fmi2SerializedFMUstateSize")) return fmi2Error;
  if (!FMUstate || !size) return refuse(c, "fmi2SerializedFMUstateSize: null pointer");
  *size = SERIALIZED_BYTES;
  return fmi2OK;
}

fmi2Status fmi2SerializeFMUstate(fmi2Component c, fmi2FMUstate FMUstate, fmi2Byte serializedState[], size_t size) {
  double numbers[NUMBERS];
  unsigned char *bytes = (unsigned char *)serializedState;
  if (!allowed(c, ANY_MODE, "fmi2SerializeFMUstate")) return fmi2Error;
  if (!FMUstate || !bytes) return refuse(c, "fmi2SerializeFMUstate: null pointer");
  if (size < SERIALIZED_BYTES) return refuse(c, "fmi2SerializeFMUstate: the buffer is too small");
  memcpy(bytes, MODEL_GUID, GUID_BYTES);
  to_numbers(FMUstate, numbers);
  for (int i = 0; i < NUMBERS; i++) {
    uint64_t word;
    memcpy(&word, &numbers[i], sizeof word);
    put_word(word, bytes + GUID_BYTES + 8 * i);
  }
  put_word(checksum(bytes), bytes + CHECKED_BYTES);
  return fmi2OK;
}

fmi2Status fmi2DeSerializeFMUstate(fmi2Component c, const fmi2Byte serializedState[], size_t size,
                                   fmi2FMUstate *FMUstate) {
  Instance *self = c;
  double numbers[NUMBERS];
  const unsigned char *bytes = (const unsigned char *)serializedState;
  if (!allowed(self, ANY_MODE, "fmi2DeSerializeFMUstate")) return fmi2Error;
  if (!bytes || !FMUstate) return refuse(self, "fmi2DeSerializeFMUstate: null pointer");
  if (size != SERIALIZED_BYTES || memcmp(bytes, MODEL_GUID, GUID_BYTES) != 0)
    return refuse(self, "fmi2DeSerializeFMUstate: not a state of this version of the model");
  if (get_word(bytes + CHECKED_BYTES) != checksum(bytes))
    return refuse(self, "fmi2DeSerializeFMUstate: the state is damaged (its checksum is wrong)");
  for (int i = 0; i < NUMBERS; i++) {
    uint64_t word = get_word(bytes + GUID_BYTES + 8 * i);
    memcpy(&numbers[i], &word, sizeof word);
  }
  State *state = *FMUstate ? *FMUstate : self->callbacks.allocateMemory(1, sizeof *state);
  if (!state) return refuse(self, "fmi2DeSerializeFMUstate: out of memory");
  from_numbers(numbers, state);
  *FMUstate = state;
  return fmi2OK;
}
