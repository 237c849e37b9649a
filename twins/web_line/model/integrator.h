/* Adaptive, L-stable integration of the line (RODAS). */
#ifndef INTEGRATOR_H
#define INTEGRATOR_H

#include "web_line.h"

typedef enum { INTEGRATED, TOO_STIFF, SLACK } Outcome;

/* Integrates y over `duration` seconds with constant settings. The result depends on the arguments alone.
 *
 *   tolerance  of the local error, relative
 *   step       in: first trial step, s; out: the step to begin with next time
 *
 * TOO_STIFF: the steps become too small or too many. SLACK: the web went slack; y is the state at which. */
Outcome integrate(const Line *line, double y[STATES], double duration, double tolerance, double *step);

#endif
