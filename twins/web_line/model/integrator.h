/* Adaptive, L-stable integration of the line (RODAS). */
#ifndef INTEGRATOR_H
#define INTEGRATOR_H

#include "web_line.h"

/* Integrates y over `duration` seconds with p constant. The result depends on the arguments alone.
 *
 *   tolerance  of the local error, relative
 *   step       in: first trial step, s; out: the step to begin with next time
 *
 * Returns 0, or -1 if no step is small enough; y is then unchanged. */
int integrate(const double p[SETTABLES], double y[STATES], double duration, double tolerance, double *step);

#endif
