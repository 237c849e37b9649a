/* The physics of the web-handling line. Sources, by equation, are in README.md:
 *   [S]  J. J. Shelton, Dynamics of web tension control with velocity or torque control, ACC 1986
 *   [B]  G. Brandenburg, Ueber das dynamische Verhalten durchlaufender elastischer Stoffbahnen, 1971; New mathematical
 *        models for web tension and register error, IFAC PRP 3, 1976
 *   [SH] K. N. Reid, K. H. Shin, Variable-gain control of longitudinal tension in a web transport system, 1991;
 *        K. H. Shin, Tension Control, TAPPI Press 2000
 *   [J]  K. L. Johnson, Contact Mechanics, 1985, ch. 8.2 (belt drive: creep below the capstan limit)
 */
#include "web_line.h"

#include <math.h>
#include <string.h>

/* Part of the capstan limit at which a roller slides. Beyond it friction rises a little with the slip (by 2 % of the
 * limit until the roller stands still): without that the equations of several sliding rollers are needlessly stiff. */
static const double SLIDING = 0.9995;
static const double DEGREES_PER_RADIAN = 57.295779513082320877;

const double web_line_nominal[STATES] = {
    100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, /* tensions */
    1,   1,   1,   1,   1,   1,   1,   1,   1,                  /* rollers */
    1,   1,   0.05, 0.05,                                       /* drives */
    0.01, 0.01, 1e5, 1e-3, 1e-3,                                /* dancer, pressure, controllers */
};

/* Span that ends at roller r (both from 0): the master nip sits after the fifth roller. */
static int span_of(int roller) { return roller < MASTER_SPAN ? roller : roller + 1; }

static int zone_of(int roller) { return roller >= MASTER_SPAN; }

/* e^a - 1 by its series (a below about 12): the same bits on every platform, as libm's would not be. */
static double expm1_series(double a) {
  double sum = 0.0;
  for (int k = 60; k >= 1; k--) sum = (1.0 + sum) * a / k;
  return sum;
}

Line web_line_of(const double p[SETTABLES]) {
  Line line = {.p = p, .limit = {expm1_series(p[P_friction] * p[P_wrap_zone_1]),
                                 expm1_series(p[P_friction] * p[P_wrap_zone_2])}};
  return line;
}

/* Slip over creep speed when the part x of the capstan limit is used: creep grows in proportion at first ([J]), then
 * ever faster towards the limit; a straight line goes on from where the roller slides. */
static double slip_curve(double x) {
  double part = fabs(x) < SLIDING ? fabs(x) : SLIDING;
  double x2 = part * part, x4 = x2 * x2, rest = 1.0 - x4 * x4;
  double slip = part / rest + (fabs(x) - part) * (1.0 + 7.0 * x4 * x4) / (rest * rest);
  return x < 0.0 ? -slip : slip;
}

/* Speed of the web over the surface of a roller, m/s. Traction is proportional to the smaller of the two tensions;
 * its floor keeps trial states of the integrator finite (a slack web is refused by the caller). */
static double slip_speed(double limit, double creep_speed, double before, double after) {
  double smaller = before < after ? before : after;
  return creep_speed * slip_curve((after - before) / (limit * (smaller > 0.1 ? smaller : 0.1)));
}

static void slips(const Line *line, const double y[STATES], double slip[ROLLERS]) {
  double creep_speed = line->p[P_creep] * line->p[P_roller_radius] * y[Y_MASTER];
  for (int r = 0; r < ROLLERS; r++) {
    const double *tension = y + Y_TENSION + span_of(r);
    slip[r] = slip_speed(line->limit[zone_of(r)], creep_speed, tension[0], tension[1]);
  }
}

/* Speed of the web at the end of each span, m/s. */
static void web_speeds(const Line *line, const double y[STATES], double v[SPANS]) {
  const double *p = line->p;
  double slip[ROLLERS];
  slips(line, y, slip);
  for (int r = 0; r < ROLLERS; r++) v[span_of(r)] = p[P_roller_radius] * y[Y_ROLLER + r] + slip[r];
  v[MASTER_SPAN] = p[P_roller_radius] * y[Y_MASTER];
  v[NIP_SPAN] = p[P_roller_radius] * y[Y_NIP];
  v[WINDER_SPAN] = y[Y_WINDER];
}

/* d/dt of the elastic tensions, N/s: conservation of mass, d/dt [L/(1+e)] = v_in/(1+e_in) - v/(1+e) ([B]; [SH]). */
static void tension_rates(const Line *line, const double y[STATES], double rate[SPANS]) {
  const double *p = line->p;
  double v[SPANS], stiffness = p[P_web_stiffness];
  web_speeds(line, y, v);
  double flow_in = y[Y_UNWINDER] / (1.0 + p[P_roll_tension] / stiffness);
  for (int k = 0; k < SPANS; k++) {
    double stretch = 1.0 + y[Y_TENSION + k] / stiffness;
    double flow = v[k] / stretch, growth = 0.0, length = p[P_span_length];
    if (k == 0) { /* the dancer stores web on both sides of its roller */
      growth = 2.0 * p[P_dancer_arm] * y[Y_RATE] / stretch;
      length = p[P_loop_length] + 2.0 * p[P_dancer_arm] * y[Y_ANGLE];
    }
    rate[k] = stiffness * stretch * stretch * (flow - flow_in + growth) / length;
    flow_in = flow;
  }
}

/* Tension with the web's own damping (Kelvin-Voigt): what rollers and load cells feel. */
static void felt_tensions(const double p[SETTABLES], const double y[STATES], const double rate[SPANS],
                          double felt[SPANS]) {
  for (int k = 0; k < SPANS; k++) felt[k] = y[Y_TENSION + k] + p[P_web_damping_time] * rate[k];
}

/* Torque about the pivot per pressure in the piston, m3. */
static double piston_torque(const double p[SETTABLES]) { return p[P_piston_area] * p[P_piston_lever]; }

static double pressure_setpoint(const double p[SETTABLES]) {
  return 2.0 * p[P_dancer_arm] * p[P_tension_1_setpoint] / piston_torque(p);
}

/* Second-order arm: the piston against both sides of the loop and a spring. */
static void dancer(const double p[SETTABLES], const double y[STATES], double felt, double dy[STATES]) {
  double torque = piston_torque(p) * y[Y_PRESSURE] - 2.0 * p[P_dancer_arm] * felt -
                  p[P_dancer_stiffness] * y[Y_ANGLE] - p[P_dancer_damping] * y[Y_RATE];
  dy[Y_ANGLE] = y[Y_RATE];
  dy[Y_RATE] = torque / p[P_dancer_inertia];
  dy[Y_PRESSURE] = (pressure_setpoint(p) - y[Y_PRESSURE]) / p[P_piston_lag];
}

/* Speed-controlled drives with a lag: the master keeps the line speed, the unwinder gives way to the dancer (the line's
 * slow mode: 2 arm / gain = 16 s), nip and winder trim their speed until the tension before them is right (PI). */
static void drives(const double p[SETTABLES], const double y[STATES], double dy[STATES]) {
  double speed = p[P_web_speed_setpoint], radius = p[P_roller_radius], lag = p[P_drive_lag];
  double nip_error = p[P_tension_2_setpoint] - y[Y_TENSION + NIP_SPAN];
  double winder_error = p[P_rewind_tension_setpoint] - y[Y_TENSION + WINDER_SPAN];
  double nip = speed + p[P_nip_gain] * nip_error + y[Y_NIP_TRIM];
  double winder = speed + p[P_winder_gain] * winder_error + y[Y_WINDER_TRIM];
  dy[Y_MASTER] = (speed / radius - y[Y_MASTER]) / lag;
  dy[Y_UNWINDER] = (speed - p[P_dancer_gain] * y[Y_ANGLE] - y[Y_UNWINDER]) / lag;
  dy[Y_NIP] = (nip / radius - y[Y_NIP]) / lag;
  dy[Y_WINDER] = (winder - y[Y_WINDER]) / lag;
  dy[Y_NIP_TRIM] = p[P_nip_gain] * nip_error / p[P_nip_reset_time];
  dy[Y_WINDER_TRIM] = p[P_winder_gain] * winder_error / p[P_winder_reset_time];
}

void web_line_derivative(const Line *line, const double y[STATES], double dy[STATES]) {
  const double *p = line->p;
  double *rate = dy + Y_TENSION, felt[SPANS];
  tension_rates(line, y, rate);
  felt_tensions(p, y, rate, felt);
  for (int r = 0; r < ROLLERS; r++) { /* J dw/dt = R (T_after - T_before) - b w ([S]) */
    int k = span_of(r);
    double drag = p[P_b1 + r] * y[Y_ROLLER + r];
    dy[Y_ROLLER + r] = (p[P_roller_radius] * (felt[k + 1] - felt[k]) - drag) / p[P_roller_inertia];
  }
  dancer(p, y, felt[0], dy);
  drives(p, y, dy);
}

/* A roller between its spans at rest. */
typedef struct {
  double damping, limit, creep_speed, flow, radius, stiffness;
  double known;   /* the tension that is held: before the roller, or after it */
  int after_known;
} Roller;

static double before_roller(const Roller *roller, double x) {
  return roller->after_known ? roller->known / (1.0 + roller->limit * x) : roller->known;
}

static double roller_speed(const Roller *roller, double x) {
  double web = roller->flow * (1.0 + before_roller(roller, x) / roller->stiffness);
  return (web - roller->creep_speed * slip_curve(x)) / roller->radius;
}

/* What friction gives the roller over what its bearings ask, N. Rises with x: given does, the speed falls. */
static double spare_traction(const Roller *roller, double x) {
  return roller->limit * x * before_roller(roller, x) - roller->damping * roller_speed(roller, x) / roller->radius;
}

/* Part of the capstan limit at which friction turns the roller against its bearings: the one root, by bisection down
 * to neighbouring doubles. */
static double settled_traction(const Roller *roller) {
  double low = 0.0, high = 1.0;
  while (spare_traction(roller, high) < 0.0) high *= 2.0;
  for (;;) {
    double x = 0.5 * (low + high);
    if (x <= low || x >= high) return low;
    if (spare_traction(roller, x) <= 0.0) low = x;
    else high = x;
  }
}

/* Walks over one roller at rest: its speed, and the tension on its other side from the one that is known. */
static void settle_roller(const Line *line, double flow, int r, double y[STATES]) {
  const double *p = line->p;
  int k = span_of(r), backwards = zone_of(r);
  Roller roller = {.damping = p[P_b1 + r], .limit = line->limit[zone_of(r)],
                   .creep_speed = p[P_creep] * p[P_web_speed_setpoint], .flow = flow, .radius = p[P_roller_radius],
                   .stiffness = p[P_web_stiffness], .known = y[Y_TENSION + k + backwards],
                   .after_known = backwards};
  double x = settled_traction(&roller), before = before_roller(&roller, x);
  y[Y_ROLLER + r] = roller_speed(&roller, x);
  if (backwards) y[Y_TENSION + k] = before;
  else y[Y_TENSION + k + 1] = before * (1.0 + roller.limit * x);
}

/* Zone 1 at rest for an assumed flow (m/s of unstrained web); returns the flow that its last tension asks for. */
static double settle_zone_1(const Line *line, double flow, double y[STATES]) {
  const double *p = line->p;
  double speed = p[P_web_speed_setpoint], stiffness = p[P_web_stiffness];
  y[Y_UNWINDER] = flow * (1.0 + p[P_roll_tension] / stiffness);
  y[Y_ANGLE] = (speed - y[Y_UNWINDER]) / p[P_dancer_gain];
  y[Y_TENSION] = p[P_tension_1_setpoint] - p[P_dancer_stiffness] * y[Y_ANGLE] / (2.0 * p[P_dancer_arm]);
  for (int r = 0; r < MASTER_SPAN; r++) settle_roller(line, flow, r, y);
  return speed / (1.0 + y[Y_TENSION + MASTER_SPAN] / stiffness);
}

int web_line_settled(const Line *line, double y[STATES]) {
  const double *p = line->p;
  double speed = p[P_web_speed_setpoint], stiffness = p[P_web_stiffness], radius = p[P_roller_radius];
  double flow = speed, next = flow;
  memset(y, 0, STATES * sizeof *y);
  for (int i = 0; i < 100; i++) { /* contracts by about 1e-4 a pass: tension moves the flow by 1/EA */
    flow = next;
    next = settle_zone_1(line, flow, y);
    if (fabs(next - flow) <= 2e-16 * fabs(flow)) break;
  }
  y[Y_TENSION + NIP_SPAN] = p[P_tension_2_setpoint];
  y[Y_TENSION + WINDER_SPAN] = p[P_rewind_tension_setpoint];
  for (int r = ROLLERS - 1; r >= MASTER_SPAN; r--) settle_roller(line, flow, r, y);
  y[Y_MASTER] = speed / radius;
  y[Y_NIP] = flow * (1.0 + p[P_tension_2_setpoint] / stiffness) / radius;
  y[Y_WINDER] = flow * (1.0 + p[P_rewind_tension_setpoint] / stiffness);
  y[Y_NIP_TRIM] = radius * y[Y_NIP] - speed;
  y[Y_WINDER_TRIM] = y[Y_WINDER] - speed;
  y[Y_PRESSURE] = pressure_setpoint(p);
  return !web_line_slack_span(y) && fabs(next - flow) <= 1e-12 * fabs(flow) ? 0 : -1;
}

int web_line_slack_span(const double y[STATES]) {
  for (int k = 0; k < SPANS; k++)
    if (!(y[Y_TENSION + k] > 0.0)) return k + 1;
  return 0;
}

void web_line_outputs(const Line *line, const double y[STATES], double out[OUTPUTS]) {
  const double *p = line->p;
  double dy[STATES];
  web_line_derivative(line, y, dy);
  felt_tensions(p, y, dy + Y_TENSION, out + O_S1_Tension_N);
  memcpy(out + O_Roller1_w, y + Y_ROLLER, ROLLERS * sizeof *out);
  slips(line, y, out + O_Roller1_summary_SlipVelocity);
  out[O_NipRoller1_w] = y[Y_NIP];
  out[O_NipRoller2_w] = y[Y_MASTER];
  out[O_WS1_Vout_ms] = y[Y_UNWINDER];
  out[O_WS2_Velocity_ms] = y[Y_WINDER];
  out[O_deg] = y[Y_ANGLE] * DEGREES_PER_RADIAN;
  out[O_Pa] = y[Y_PRESSURE];
  out[O_ms] = p[P_roller_radius] * y[Y_MASTER];
  double pull = out[O_S1_Tension_N + MASTER_SPAN] - out[O_S1_Tension_N + MASTER_SPAN + 1];
  out[O_Nm] = p[P_roller_radius] * pull + p[P_nip_damping] * y[Y_MASTER] + p[P_nip_inertia] * dy[Y_MASTER];
}
