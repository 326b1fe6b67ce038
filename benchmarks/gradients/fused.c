/* Everything fused, by hand: LANES trajectories side by side in one vector, from the noise to the moments of a batch.

   Nothing of size N x P or N x T x width leaves the second-level cache, and derivatives are written out. Compiled for
   one environment (-DPENDULUM or -DCARTPOLE) by fused_c.py; D-64-64-1 with tanh, parameters in Scorepath's order. */

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif
#define H 64
#define BATCH 64
#define BLOCKS (BATCH / LANES)

typedef float lanes __attribute__((vector_size(4 * LANES)));

#define EACH(body) \
    { _Pragma("omp simd") for (int l = 0; l < LANES; l++) { body; } }

static inline lanes sine(lanes x) { lanes y; EACH(y[l] = sinf(x[l])) return y; }
static inline lanes cosine(lanes x) { lanes y; EACH(y[l] = cosf(x[l])) return y; }
static inline lanes hyperbolic(lanes x) { lanes y; EACH(y[l] = 1 - 2 / (expf(2 * x[l]) + 1)) return y; }
static inline lanes clipped(lanes x, float most) { lanes y; EACH(y[l] = fminf(fmaxf(x[l], -most), most)) return y; }
/* g where |x| < most, else 0 */
static inline lanes gated(lanes g, lanes x, float most) { lanes y; EACH(y[l] = fabsf(x[l]) < most ? g[l] : 0) return y; }

/* --- environments: state -> observation, step, and their vector-Jacobian products ---------------------------------- */

#ifdef PENDULUM
#define S 2
#define D 3
static const float PI = 3.14159265358979f;

static inline lanes wrapped(lanes x) {
    lanes y;
    EACH(float z = x[l] + PI; y[l] = z - 2 * PI * floorf(z / (2 * PI)) - PI)
    return y;
}
static inline void start(const float *noise, lanes *state) {
    const float scale[S] = {PI, 1};
    for (int k = 0; k < S; k++) EACH(state[k][l] = scale[k] * erff(noise[l * S + k] * 0.70710678f))
}
static inline void observe(const lanes *s, lanes *o) { o[0] = cosine(s[0]); o[1] = sine(s[0]); o[2] = s[1]; }
static inline lanes step(lanes *s, lanes action) {
    lanes torque = clipped(action, 2), angle = wrapped(s[0]);
    lanes reward = -(angle * angle + 0.1f * s[1] * s[1] + 0.001f * torque * torque);
    s[1] = clipped(s[1] + 0.75f * sine(s[0]) + 0.15f * torque, 8);
    s[0] += 0.05f * s[1];
    return reward;
}
/* `s` before the step, `o` its observation; `g` of the state after it becomes that of `s`; returns that of the action */
static inline lanes step_vjp(const lanes *s, const lanes *o, lanes action, lanes *g) {
    lanes torque = clipped(action, 2), before = s[1] + 0.75f * o[1] + 0.15f * torque;
    lanes speed = gated(g[1] + 0.05f * g[0], before, 8);
    g[0] = g[0] + 0.75f * o[0] * speed - 2 * wrapped(s[0]);
    g[1] = speed - 0.2f * s[1];
    return gated(0.15f * speed - 0.002f * torque, action, 2);
}
static inline void observe_vjp(const lanes *o, const lanes *to, lanes *g) {
    g[0] += o[0] * to[1] - o[1] * to[0];
    g[1] += to[2];
}
#endif

#ifdef CARTPOLE
#define S 4
#define D 5
#define DT 0.05f
#define SHARE (0.05f / 1.1f)

static inline void start(const float *noise, lanes *state) {
    const float mean[S] = {0, 0, 3.14159265358979f, 0};
    for (int k = 0; k < S; k++) EACH(state[k][l] = mean[k] + 0.05f * noise[l * S + k])
}
static inline void observe(const lanes *s, lanes *o) {
    o[0] = s[0]; o[1] = s[1]; o[2] = cosine(s[2]); o[3] = sine(s[2]); o[4] = s[3];
}
static inline void accelerate(const lanes *s, lanes cos, lanes sin, lanes force, lanes *push, lanes *inertia, lanes *rate) {
    *push = force * (10 / 1.1f) + SHARE * s[3] * s[3] * sin;
    *inertia = 2 / 3.f - SHARE * cos * cos;
    *rate = (9.8f * sin - cos * *push) / *inertia;
}
static inline lanes step(lanes *s, lanes force) {
    lanes cos = cosine(s[2]), sin = sine(s[2]), push, inertia, rate;
    accelerate(s, cos, sin, force, &push, &inertia, &rate);
    s[1] += DT * (push - SHARE * rate * cos);
    s[3] += DT * rate;
    s[0] += DT * s[1];
    s[2] += DT * s[3];
    return cosine(s[2]) - 0.05f * s[0] * s[0] - 0.001f * (s[1] * s[1] + s[3] * s[3]) - 0.01f * force * force;
}
static inline lanes step_vjp(const lanes *s, const lanes *o, lanes force, lanes *g) {
    lanes cos = o[2], sin = o[3], push, inertia, rate;
    accelerate(s, cos, sin, force, &push, &inertia, &rate);
    lanes speed = s[1] + DT * (push - SHARE * rate * cos), spin = s[3] + DT * rate;
    lanes x = s[0] + DT * speed, angle = s[2] + DT * spin;
    g[0] -= 0.1f * x;
    g[2] -= sine(angle);
    g[1] += DT * g[0] - 0.002f * speed;
    g[3] += DT * g[2] - 0.002f * spin;
    lanes to_rate = DT * (g[3] - SHARE * cos * g[1]), over = to_rate / inertia;
    lanes to_push = DT * g[1] - cos * over;
    lanes to_cos = -DT * SHARE * rate * g[1] - push * over + 2 * SHARE * cos * rate * over;
    lanes to_sin = 9.8f * over + SHARE * s[3] * s[3] * to_push;
    g[2] += cos * to_sin - sin * to_cos;
    g[3] += 2 * SHARE * s[3] * sin * to_push;
    return (10 / 1.1f) * to_push - 0.02f * force;
}
static inline void observe_vjp(const lanes *o, const lanes *to, lanes *g) {
    g[0] += to[0];
    g[1] += to[1];
    g[2] += o[2] * to[3] - o[3] * to[2];
    g[3] += to[4];
}
#endif

#define P (D * H + H + H * H + H + H + 1)

/* what one block keeps of every step */
typedef struct { lanes s[S], o[D], h1[H], h2[H], d1[H], d2[H], action, eps, delta; } Step;

/* out[j] += sum_i w[i][j] in[i], eight outputs at a time */
static inline void product(const float *w, const lanes *in, lanes *out, int inputs) {
    for (int j = 0; j < H; j += 8) {
        lanes sums[8];
        for (int k = 0; k < 8; k++) sums[k] = out[j + k];
        for (int i = 0; i < inputs; i++)
            for (int k = 0; k < 8; k++) sums[k] += w[i * H + j + k] * in[i];
        for (int k = 0; k < 8; k++) out[j + k] = sums[k];
    }
}

/* g[i][j] = sum_t a_t[i] b_t[j], four by four */
static inline void outer(const Step *steps, int T, size_t a, size_t b, int inputs, lanes *g) {
    for (int i = 0; i < inputs; i += 4)
        for (int j = 0; j < H; j += 4) {
            lanes sums[4][4];
            memset(sums, 0, sizeof sums);
            int rows = inputs - i < 4 ? inputs - i : 4;
            for (int t = 0; t < T; t++) {
                const lanes *from = (const lanes *)((const char *)&steps[t] + a) + i;
                const lanes *to = (const lanes *)((const char *)&steps[t] + b) + j;
                if (rows == 4)
                    for (int k = 0; k < 4; k++)
                        for (int m = 0; m < 4; m++) sums[k][m] += from[k] * to[m];
                else
                    for (int k = 0; k < rows; k++)
                        for (int m = 0; m < 4; m++) sums[k][m] += from[k] * to[m];
            }
            for (int k = 0; k < rows; k++)
                for (int m = 0; m < 4; m++) g[(i + k) * H + j + m] = sums[k][m];
        }
}

static void gradients(const float *parameters, const float *backwards, const float *initial, const float *noise, int T,
                      float sigma, int pathwise, Step *steps, lanes *g) {
    const float *w1 = parameters, *b1 = w1 + D * H, *w2 = b1 + H, *b2 = w2 + H * H, *w3 = b2 + H, *b3 = w3 + H;
    lanes s[S], total = {0};
    start(initial, s);
    for (int t = 0; t < T; t++) {
        Step *at = &steps[t];
        memcpy(at->s, s, sizeof s);
        observe(s, at->o);
        for (int j = 0; j < H; j++) { at->h1[j] = b1[j] - (lanes){0}; at->h2[j] = b2[j] - (lanes){0}; }
        product(w1, at->o, at->h1, D);
        for (int j = 0; j < H; j++) at->h1[j] = hyperbolic(at->h1[j]);
        product(w2, at->h1, at->h2, H);
        lanes mean = b3[0] - (lanes){0};
        for (int j = 0; j < H; j++) { at->h2[j] = hyperbolic(at->h2[j]); mean += w3[j] * at->h2[j]; }
        for (int l = 0; l < LANES; l++) at->eps[l] = noise[l * T + t];
        at->action = mean + sigma * at->eps;
        total += step(s, at->action);
    }
    lanes to_state[S];
    memset(to_state, 0, sizeof to_state);
    for (int t = T - 1; t >= 0; t--) {
        Step *at = &steps[t];
        at->delta = pathwise ? step_vjp(at->s, at->o, at->action, to_state) : total * at->eps / sigma;
        for (int j = 0; j < H; j++) at->d2[j] = w3[j] * at->delta * (1 - at->h2[j] * at->h2[j]);
        memset(at->d1, 0, sizeof at->d1);
        product(backwards, at->d2, at->d1, H);
        for (int i = 0; i < H; i++) at->d1[i] *= 1 - at->h1[i] * at->h1[i];
        if (pathwise) {
            lanes to[D];
            for (int k = 0; k < D; k++) {
                to[k] = (lanes){0};
                for (int i = 0; i < H; i++) to[k] += w1[k * H + i] * at->d1[i];
            }
            observe_vjp(at->o, to, to_state);
        }
    }
    lanes *g1 = g, *gb1 = g1 + D * H, *g2 = gb1 + H, *gb2 = g2 + H * H, *g3 = gb2 + H, *gb3 = g3 + H;
    outer(steps, T, offsetof(Step, o), offsetof(Step, d1), D, g1);
    outer(steps, T, offsetof(Step, h1), offsetof(Step, d2), H, g2);
    memset(gb1, 0, H * sizeof(lanes));
    memset(gb2, 0, (2 * H + 1) * sizeof(lanes)); /* gb2, g3 and gb3 lie one after another */
    for (int t = 0; t < T; t++) {
        for (int j = 0; j < H; j++) {
            gb1[j] += steps[t].d1[j];
            gb2[j] += steps[t].d2[j];
            g3[j] += steps[t].h2[j] * steps[t].delta;
        }
        gb3[0] += steps[t].delta;
    }
}

/* initial (N, S), noise (N, T) -> means (N / BATCH, P), squared distances from them (N,); 0, or 1 without memory */
int moments(const float *parameters, const float *initial, const float *noise, int N, int T, float sigma, int pathwise,
            float *means, float *distances) {
    const float *w2 = parameters + D * H + H;
    float backwards[H * H];
    for (int i = 0; i < H; i++)
        for (int j = 0; j < H; j++) backwards[j * H + i] = w2[i * H + j];
    Step *steps = aligned_alloc(64, T * sizeof(Step));
    lanes *g = aligned_alloc(64, (size_t)BLOCKS * P * sizeof(lanes));
    if (!steps || !g) return 1;
    for (int batch = 0; batch < N / BATCH; batch++) {
        for (int k = 0; k < BLOCKS; k++) {
            size_t row = (size_t)batch * BATCH + k * LANES;
            gradients(parameters, backwards, initial + row * S, noise + row * T, T, sigma, pathwise, steps,
                      g + (size_t)k * P);
        }
        lanes square[BLOCKS];
        memset(square, 0, sizeof square);
        for (int p = 0; p < P; p++) {
            lanes sum = {0};
            float mean = 0;
            for (int k = 0; k < BLOCKS; k++) sum += g[(size_t)k * P + p];
            for (int l = 0; l < LANES; l++) mean += sum[l];
            mean /= BATCH;
            means[(size_t)batch * P + p] = mean;
            for (int k = 0; k < BLOCKS; k++) {
                lanes apart = g[(size_t)k * P + p] - mean;
                square[k] += apart * apart;
            }
        }
        memcpy(distances + (size_t)batch * BATCH, square, sizeof square);
    }
    free(steps);
    free(g);
    return 0;
}
