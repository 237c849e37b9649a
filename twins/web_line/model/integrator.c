/* RODAS: Rosenbrock method of order 4(3), six stages, L-stable and stiffly accurate (E. Hairer, G. Wanner, Solving
 * Ordinary Differential Equations II, 2nd ed. 1996, section IV.7 and its code RODAS, coefficient set 1).
 *
 * Linearly implicit: no Newton iteration whose end would depend on a test. A settled state is a fixed point of every
 * step, whatever the step size and tolerance: what a settled line predicts carries no integration error. */
#include "integrator.h"

#include <math.h>
#include <string.h>

enum { N = STATES, STAGES = 6, MAX_ATTEMPTS = 100000 };

static const double MIN_STEP_S = 1e-12, MAX_STEP_S = 1e4;

static const double GAMMA = 0.25;
static const double A[STAGES][STAGES - 1] = {
    {0},
    {1.544},
    {0.9466785280815826, 0.2557011698983284},
    {3.314825187068521, 2.896124015972201, 0.9986419139977817},
    {1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950},
    {1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950, 1.0},
};
static const double C[STAGES][STAGES - 1] = {
    {0},
    {-5.6688},
    {-2.430093356833875, -0.2063599157091915},
    {-0.1073529058151375, -9.594562251023355, -20.47028614809616},
    {7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160},
    {8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054},
};

typedef struct {
  double a[N][N];
  int pivot[N];
} Matrix;

static double weight(double y, int i) { return fabs(y) > web_line_nominal[i] ? fabs(y) : web_line_nominal[i]; }

/* Finite differences; a tenth of the digits is plenty for a method that controls its own error. */
static void jacobian(const Line *line, const double y[N], const double f[N], Matrix *m) {
  double moved[N], g[N];
  memcpy(moved, y, sizeof moved);
  for (int j = 0; j < N; j++) {
    moved[j] = y[j] + 1e-7 * weight(y[j], j);
    double change = moved[j] - y[j];
    web_line_derivative(line, moved, g);
    for (int i = 0; i < N; i++) m->a[i][j] = (g[i] - f[i]) / change;
    moved[j] = y[j];
  }
}

/* LU of I/(h gamma) - J in place, row pivoting. Returns -1 if singular or not finite. */
static int factorize(const Matrix *jac, double h, Matrix *lu) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) lu->a[i][j] = (i == j ? 1.0 / (h * GAMMA) : 0.0) - jac->a[i][j];
  for (int k = 0; k < N; k++) {
    int best = k;
    for (int i = k + 1; i < N; i++)
      if (fabs(lu->a[i][k]) > fabs(lu->a[best][k])) best = i;
    lu->pivot[k] = best;
    if (!(fabs(lu->a[best][k]) > 0.0) || !isfinite(lu->a[best][k])) return -1;
    if (best != k) {
      double row[N];
      memcpy(row, lu->a[k], sizeof row);
      memcpy(lu->a[k], lu->a[best], sizeof row);
      memcpy(lu->a[best], row, sizeof row);
    }
    for (int i = k + 1; i < N; i++) {
      if (lu->a[i][k] == 0.0) continue; /* the line is a chain: most of it is zero */
      double factor = lu->a[i][k] / lu->a[k][k];
      lu->a[i][k] = factor;
      for (int j = k + 1; j < N; j++) lu->a[i][j] -= factor * lu->a[k][j];
    }
  }
  return 0;
}

static void solve(const Matrix *lu, double x[N]) {
  for (int k = 0; k < N; k++) {
    double swap = x[k];
    x[k] = x[lu->pivot[k]];
    x[lu->pivot[k]] = swap;
  }
  for (int i = 1; i < N; i++)
    for (int j = 0; j < i; j++) x[i] -= lu->a[i][j] * x[j];
  for (int i = N - 1; i >= 0; i--) {
    for (int j = i + 1; j < N; j++) x[i] -= lu->a[i][j] * x[j];
    x[i] /= lu->a[i][i];
  }
}

/* One step; the last stage is the error estimate (root mean square over the tolerance is returned, or infinity). */
static double attempt(const Line *line, const double y[N], const double f[N], const Matrix *jac, double h,
                      double tolerance, double end[N]) {
  Matrix lu;
  double stage[STAGES][N];
  if (factorize(jac, h, &lu) != 0) return INFINITY;
  for (int s = 0; s < STAGES; s++) {
    memcpy(end, y, N * sizeof *end);
    for (int q = 0; q < s; q++)
      for (int i = 0; i < N; i++) end[i] += A[s][q] * stage[q][i];
    if (s == 0) memcpy(stage[0], f, sizeof stage[0]);
    else web_line_derivative(line, end, stage[s]);
    for (int q = 0; q < s; q++)
      for (int i = 0; i < N; i++) stage[s][i] += C[s][q] / h * stage[q][i];
    solve(&lu, stage[s]);
  }
  double sum = 0.0;
  for (int i = 0; i < N; i++) {
    double part = stage[STAGES - 1][i] / (tolerance * weight(y[i], i));
    end[i] += stage[STAGES - 1][i];
    sum += part * part;
  }
  return isfinite(sum) ? sqrt(sum / N) : INFINITY;
}

/* Next step over this one; fourth root by square roots, which round alike on every platform. */
static double step_factor(double error) {
  if (!(error > 1e-12)) return 6.0;
  if (!isfinite(error)) return 0.1;
  double factor = 0.9 / sqrt(sqrt(error));
  return factor < 0.1 ? 0.1 : factor > 6.0 ? 6.0 : factor;
}

Outcome integrate(const Line *line, double y[N], double duration, double tolerance, double *step) {
  double end[N], f[N], done = 0.0, next = *step;
  int fresh = 1; /* y has moved since the Jacobian was made */
  Matrix jac;
  for (int attempts = 0; done < duration; attempts++) {
    if (attempts == MAX_ATTEMPTS || !(next > MIN_STEP_S)) return TOO_STIFF;
    if (fresh) {
      web_line_derivative(line, y, f);
      jacobian(line, y, f, &jac);
    }
    int last = next >= (duration - done) * (1.0 - 1e-9);
    double h = last ? duration - done : next;
    double error = attempt(line, y, f, &jac, h, tolerance, end);
    double proposed = h * step_factor(error);
    fresh = error <= 1.0;
    if (!fresh) {
      next = proposed < 0.9 * h ? proposed : 0.5 * h;
      continue;
    }
    /* a step that the communication point cut short says nothing against the longer one */
    next = last && next > proposed ? next : proposed;
    done = last ? duration : done + h;
    memcpy(y, end, sizeof end);
    if (web_line_slack_span(y)) return SLACK;
  }
  *step = next < MAX_STEP_S ? next : MAX_STEP_S;
  return INTEGRATED;
}
