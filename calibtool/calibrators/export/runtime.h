/* What exported C headers are put together from: each takes the functions that it needs, as they
   stand here. A function stands below those it calls. CALIBRATE_K is the number of classes. */

#include <math.h>

/* 1 / (1 + exp(-x)), without overflow. */
static inline double calibrate_expit(double x) {
    if (x >= 0) {
        return 1 / (1 + exp(-x));
    }
    const double small = exp(x);
    return small / (1 + small);
}

/* log(expit(x)), without underflow. */
static inline double calibrate_log_expit(double x) {
    return fmin(x, 0) - log1p(exp(-fabs(x)));
}

/* The class of the highest value, the first among equals. */
static inline int calibrate_top(const double *z) {
    int top = 0;
    for (int k = 1; k < CALIBRATE_K; k++) {
        if (z[k] > z[top]) {
            top = k;
        }
    }
    return top;
}

/* Numbers that sum to 1, in proportion, in their place. */
static inline void calibrate_normalise(double *p) {
    double total = 0;
    for (int k = 0; k < CALIBRATE_K; k++) {
        total += p[k];
    }
    for (int k = 0; k < CALIBRATE_K; k++) {
        p[k] /= total;
    }
}

/* Probabilities of logits; both may be one array. */
static inline void calibrate_softmax(const double *z, double *p) {
    const double highest = z[calibrate_top(z)];
    for (int k = 0; k < CALIBRATE_K; k++) {
        p[k] = exp(z[k] - highest);
    }
    calibrate_normalise(p);
}

/* Log-probabilities of logits; both may be one array. */
static inline void calibrate_log_probs(const double *z, double *log_p) {
    const double highest = z[calibrate_top(z)];
    double total = 0;
    for (int k = 0; k < CALIBRATE_K; k++) {
        total += exp(z[k] - highest);
    }
    total = log(total);
    for (int k = 0; k < CALIBRATE_K; k++) {
        log_p[k] = z[k] - highest - total;
    }
}

/* Log-probabilities of probabilities; 0 counts as the floor. */
static inline void calibrate_logs(const double *p, double floor, double *log_p) {
    for (int k = 0; k < CALIBRATE_K; k++) {
        log_p[k] = log(fmax(p[k], floor));
    }
}

/* log p - log(1 - p), in place of log p. For the top class, 1 - p is summed over the others, which
   keeps its digits where p rounds to 1. */
static inline void calibrate_log_odds(double *log_p) {
    const int top = calibrate_top(log_p);
    double highest = -HUGE_VAL, rest = 0;
    for (int k = 0; k < CALIBRATE_K; k++) {
        if (k != top && log_p[k] > highest) {
            highest = log_p[k];
        }
    }
    for (int k = 0; k < CALIBRATE_K; k++) {
        if (k != top) {
            rest += exp(log_p[k] - highest);
            log_p[k] -= log1p(-exp(log_p[k]));
        }
    }
    log_p[top] -= highest + log(rest);
}

/* The number of the n rising edges below x. */
static inline int calibrate_count_below(double x, int n, const double *edges) {
    int low = 0, high = n;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (edges[middle] < x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The number of the n rising edges at or below x. */
static inline int calibrate_count_up_to(double x, int n, const double *edges) {
    int low = 0, high = n;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (edges[middle] <= x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* A curve of log-odds, with a slope on each side. */
static inline double calibrate_sigmoid(double x, double a, double b, double c) {
    if (a == b) {
        return calibrate_expit(a * x + c);
    }
    return calibrate_expit(a * calibrate_log_expit(x) - b * calibrate_log_expit(-x) + c);
}

/* A parabola of log-odds, which goes on straight and never falls beyond both ends. Log-odds beyond
   those of the double next to 1 count as these. */
static inline double calibrate_parabola(double x, double a, double b, double c, double low,
                                        double high) {
    const double seen = fmin(fmax(x, -36.7368005696771), 36.7368005696771);
    const double inside = fmin(fmax(seen, low), high);
    const double rise = fmax(b + 2 * c * inside, 0);
    return calibrate_expit(a + inside * (b + c * inside) + (seen - inside) * rise);
}

/* Linear between n points, constant beyond them. */
static inline double calibrate_line(double x, int n, const double *xs, const double *ys) {
    const int k = calibrate_count_up_to(x, n, xs);
    if (k == 0 || k == n) {
        return ys[k == 0 ? 0 : n - 1];
    }
    return ys[k - 1] + (x - xs[k - 1]) / (xs[k] - xs[k - 1]) * (ys[k] - ys[k - 1]);
}

/* A smooth curve: quadratic between n knots, straight beyond them. */
static inline double calibrate_bend(double x, int n, const double *knots, const double *heights,
                                    const double *slopes, const double *bends) {
    const int found = calibrate_count_up_to(x, n, knots) - 1;
    const int k = found < 0 ? 0 : found;
    const double d = x - knots[k];
    return heights[k] + d * (slopes[k] + fmax(d, 0) * bends[k] / 2);
}

/* Give the top class a new probability; the others share the rest in proportion. */
static inline void calibrate_with_top(double *p, int top, double new_top) {
    double rest = 0;
    for (int k = 0; k < CALIBRATE_K; k++) {
        if (k != top) {
            rest += p[k];
        }
    }
    for (int k = 0; k < CALIBRATE_K; k++) {
        p[k] = rest > 0 ? p[k] / rest * (1 - new_top) : (1 - new_top) / (CALIBRATE_K - 1);
    }
    p[top] = new_top;
}
