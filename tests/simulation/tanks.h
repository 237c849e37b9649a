/* Two tanks behind a valve: the model of the test FMUs of every FMI version and interface, with a known settled answer.

     drive    = trim (u n + mode) where on and opened, else 0        opened from the time `opens`: a time event
     level_i' = (gain_i drive - level_i) / tau_i                     settles at gain_i drive
     flow_ij  = gain_i level_j
     count    = how many levels are above 1                          crossed at a state event
     latched  = a completed step has seen level_1 above 0.5          asked for as a step event

   Co-simulation solves it exactly, so that the only error is the settling's. What may not be set or asked in the present
   mode is refused. `fault` strikes where gain_1 exceeds 10. */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    GAIN1, GAIN2, TAU1, TAU2, U, TRIM, OPENS, SETTABLE,
    LEVEL1 = SETTABLE, LEVEL2, FLOW11, FLOW12, FLOW21, FLOW22, DER1, DER2
};
enum { N, MODE, FAULT, SETTABLE_INTEGERS, COUNT = SETTABLE_INTEGERS, KIND };
enum { ON, RUNNING, LATCHED };
enum { NO_FAULT, BAD_DERIVATIVE, ENDLESS_ITERATION, ENDLESS_EVENTS, ENDS, STEP_ENDS, BAD_STATE };
typedef enum { CREATED, INITIALIZING, EVENT, CONTINUOUS, STEPPING } Phase;

typedef struct {
    double p[SETTABLE], level[2], time;
    int integer[SETTABLE_INTEGERS];
    bool on, opened, above[2], latched, fresh;
    Phase phase;
} State;

static const State START = {{1, 1, 0.5, 8, 1, 1, 0.75}, {0, 0}, 0, {2, 1, NO_FAULT}, true};

static bool struck(const State *s, int fault) { return s->integer[FAULT] == fault && s->p[GAIN1] > 10; }

static double drive(const State *s) {
    return s->on && s->opened ? s->p[TRIM] * (s->p[U] * s->integer[N] + s->integer[MODE]) : 0;
}

static double derivative(const State *s, int i) {
    return (s->p[GAIN1 + i] * drive(s) - s->level[i]) / s->p[TAU1 + i];
}

static double get_real(const State *s, unsigned which) {
    switch (which) {
    case LEVEL1: case LEVEL2: return s->level[which - LEVEL1];
    case FLOW11: case FLOW12: return s->p[GAIN1] * s->level[which - FLOW11];
    case FLOW21: case FLOW22: return s->p[GAIN2] * s->level[which - FLOW21];
    case DER1: case DER2: return derivative(s, which - DER1);
    default: return s->p[which];
    }
}

static int get_integer(const State *s, unsigned which) {
    if (which == COUNT) return s->above[0] + s->above[1];
    return which == KIND ? s->integer[MODE] : s->integer[which];
}

static bool get_boolean(const State *s, unsigned which) {
    return which == ON ? s->on : which == LATCHED ? s->latched : s->on && s->opened;
}

/* While time passes, nothing may change but continuous inputs. */
static bool may_set_real(const State *s, unsigned which) {
    return which < SETTABLE && (s->phase != CONTINUOUS || which == U) && (s->phase == CREATED || which < TAU1 || which > TAU2);
}
static bool may_set_discrete(const State *s) { return s->phase != CONTINUOUS; }

static void pass(State *s, double seconds) {
    for (int i = 0; i < 2; i++) {
        double end = s->p[GAIN1 + i] * drive(s);
        s->level[i] = end + (s->level[i] - end) * exp(-seconds / s->p[TAU1 + i]);
    }
    s->time += seconds;
}

/* A step of co-simulation: events are handled inside. */
static bool step(State *s, double time, double seconds) {
    if (fabs(time - s->time) > 1e-9) return false; /* the master lost count */
    double end = time + seconds, before = s->opened ? 0 : fmin(seconds, fmax(0, s->p[OPENS] - time));
    if (!s->opened) {
        pass(s, before);
        s->opened = end >= s->p[OPENS];
    }
    pass(s, seconds - before);
    s->time = end;
    for (int i = 0; i < 2; i++) s->above[i] = s->level[i] > 1;
    s->latched |= s->level[0] > 0.5;
    return true;
}

/* One iteration of event mode; whether another is needed. */
static bool update(State *s) {
    bool changed = false;
    if (!s->opened && s->time >= s->p[OPENS]) changed = s->opened = true;
    for (int i = 0; i < 2 && s->fresh; i++) {
        /* A root is found to rounding: on the line is across it, wherever it came from. */
        bool above = s->above[i] ? s->level[i] > 1 + 1e-9 : s->level[i] >= 1 - 1e-9;
        changed |= above != s->above[i];
        s->above[i] = above;
    }
    s->fresh = false;
    return changed || struck(s, ENDLESS_ITERATION);
}

/* Time of the next event that is known beforehand; whether there is one. */
static bool next_event(const State *s, double *time) {
    *time = struck(s, ENDLESS_EVENTS) ? s->time : s->p[OPENS];
    return !s->opened || struck(s, ENDLESS_EVENTS);
}

/* The time may be told while it passes, at most until the next event that was announced. */
static bool set_time(State *s, double time) {
    double due;
    bool waits = next_event(s, &due) && !struck(s, ENDLESS_EVENTS);
    s->time = time;
    return s->phase == CONTINUOUS && !(waits && time > due);
}

/* After a step of the solver: whether an event is asked for. */
static bool completed(State *s) {
    bool asks = !s->latched && s->level[0] > 0.5;
    s->latched |= asks;
    return asks;
}
