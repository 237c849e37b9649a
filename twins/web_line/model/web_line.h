/* The physics of the web-handling line: names, states, right-hand side, settled state. See README.md. */
#ifndef WEB_LINE_H
#define WEB_LINE_H

/* Settable variables (parameters and inputs), then outputs; value references run through both in this order. */
enum {
#define TUNABLE(name, unit, start, min, max, text) P_##name,
#define INPUT(name, unit, start, min, max, text) P_##name,
#define FIXED(name, unit, start, min, max, text) P_##name,
#include "variables.def"
  SETTABLES
};

enum {
#define OUTPUT(name, unit, text) O_##name,
#include "variables.def"
  OUTPUTS
};

enum { SPANS = 12, ROLLERS = 9, MASTER_SPAN = 5, NIP_SPAN = 10, WINDER_SPAN = 11 };

/* Continuous states. */
enum {
  Y_TENSION = 0,                  /* SPANS elastic tensions, N */
  Y_ROLLER = Y_TENSION + SPANS,   /* ROLLERS speeds, rad/s */
  Y_MASTER = Y_ROLLER + ROLLERS,  /* speed of the master nip (NipRoller2), rad/s */
  Y_NIP,                          /* speed of the tension-controlling nip (NipRoller1), rad/s */
  Y_UNWINDER,                     /* speed of the web leaving the unwinder, m/s */
  Y_WINDER,                       /* surface speed of the winder, m/s */
  Y_ANGLE,                        /* dancer, rad */
  Y_RATE,                         /* dancer, rad/s */
  Y_PRESSURE,                     /* dancer's piston, Pa */
  Y_NIP_TRIM,                     /* integral part of the nip's tension controller, m/s */
  Y_WINDER_TRIM,                  /* integral part of the winder's tension controller, m/s */
  STATES
};

/* Size below which a change of a state does not matter, over the integration tolerance; also its scale. */
extern const double web_line_nominal[STATES];

/* The line with its settings, and what follows from them. */
typedef struct {
  const double *p; /* SETTABLES values */
  double limit[2]; /* by zone: greatest tension step over the smaller tension, e^(mu theta) - 1 (capstan equation) */
} Line;

/* p must outlive the line. */
Line web_line_of(const double p[SETTABLES]);

/* dy/dt of the whole line. */
void web_line_derivative(const Line *line, const double y[STATES], double dy[STATES]);

/* The settled state, in closed form but for one scalar equation a roller. Returns 0, or -1 if there is none. */
int web_line_settled(const Line *line, double y[STATES]);

/* Number of the first span (from 1) whose web is slack, or 0: the equations hold for a taut web alone. */
int web_line_slack_span(const double y[STATES]);

/* All outputs at a state. */
void web_line_outputs(const Line *line, const double y[STATES], double out[OUTPUTS]);

#endif
