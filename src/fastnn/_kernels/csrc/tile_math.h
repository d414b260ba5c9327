/* exp, log, log1p, the normal distribution, sigmoid and tanh of one vector; contracts in fnn.h.
 *
 * exp: Cody-Waite reduction t = n*ln2 + r, |r| <= ln2/2, then the Taylor series of expm1(r). The first term left out
 * is below a tenth of an ulp. Results near or below the smallest normal number are 0. log1p on [0, 1]: the Taylor
 * series of atanh. Each has an error of at most four units in the last place. The error of the normal tail is in
 * units of the last place of 1, because the tail is subtracted from 1. */
#define EXP_MOST NAME(splat)(IS_DOUBLE ? (real)708.0 : (real)88.0) /* exp(EXP_MOST) is finite, exp(-EXP_MOST) normal */

/* exp(t) = scale*(1 + fraction) for t from -EXP_MOST to EXP_MOST. NaN stays NaN. Outside of the range the results
 * are not valid. */
INLINE void NAME(exp_parts)(vec t, vec *scale, vec *fraction) {
    const real magic = IS_DOUBLE ? (real)6755399441055744.0 : (real)12582912.0; /* 1.5 * 2^mantissa bits: rounds */
    const real ln2_high = IS_DOUBLE ? (real)0x1.62e42feep-1 : (real)0x1.62e4p-1;
    const real ln2_low = IS_DOUBLE ? (real)0x1.a39ef35793c76p-33 : (real)0x1.7f7d1cp-20;
    const int mantissa = IS_DOUBLE ? 52 : 23, bias = IS_DOUBLE ? 1023 : 127;
    vec shifted = t * (real)1.4426950408889634 + magic;
    vec n = shifted - magic;
    vec r = (t - n * ln2_high) - n * ln2_low;
    /* expm1(r) = r + r^2 (1/2! + r (1/3! + ...)) */
    vec series = NAME(splat)(IS_DOUBLE ? (real)(1.0 / 6227020800.0) : (real)(1.0 / 5040.0));
    if (IS_DOUBLE) {
        series = series * r + (real)(1.0 / 479001600.0);
        series = series * r + (real)(1.0 / 39916800.0);
        series = series * r + (real)(1.0 / 3628800.0);
        series = series * r + (real)(1.0 / 362880.0);
        series = series * r + (real)(1.0 / 40320.0);
        series = series * r + (real)(1.0 / 5040.0);
    }
    series = series * r + (real)(1.0 / 720.0);
    series = series * r + (real)(1.0 / 120.0);
    series = series * r + (real)(1.0 / 24.0);
    series = series * r + (real)(1.0 / 6.0);
    series = series * r + (real)0.5;
    *fraction = r + r * r * series;
    NAME(bits) exponent = (NAME(bits))shifted - (NAME(bits))NAME(splat)(magic) + (unsigned_integer)bias;
    *scale = (vec)(exponent << mantissa);
}

/* For t <= EXP_MOST: exp(t) and exp(t) - 1. They are 0 and -1 where exp(t) is near the smallest normal number. */
INLINE ivec NAME(vanishes)(vec t) { return t < NAME(splat)(IS_DOUBLE ? (real)-708.0 : (real)-87.0); }
INLINE vec NAME(exp)(vec t) {
    vec scale, fraction;
    NAME(exp_parts)(t, &scale, &fraction);
    return (vec)(~NAME(vanishes)(t) & (ivec)(scale + scale * fraction));
}
INLINE vec NAME(expm1)(vec t) {
    vec scale, fraction;
    NAME(exp_parts)(t, &scale, &fraction);
    return NAME(choose)(NAME(vanishes)(t), NAME(splat)(-1), scale * fraction + (scale - 1));
}

/* A polynomial of degree n with coefficients c[0] to c[n], in two chains: even powers and odd powers */
INLINE vec NAME(polynomial)(const double *c, int n, vec t) {
    vec square = t * t, high = NAME(splat)((real)c[n]), low = NAME(splat)((real)c[n - 1]);
    UNROLL
    for (int k = n - 2; k > 0; k -= 2) {
        high = high * square + (real)c[k];
        low = low * square + (real)c[k - 1];
    }
    return n % 2 ? high * t + low : (high * square + (real)c[0]) + low * t;
}

/* 2^q for q <= 0, where 2^q is a normal number; NaN stays. Coefficients from tools/make_normal.py */
INLINE vec NAME(exp2)(vec q) {
    static const double single_c[] = {1.00000007,    0.693146967,   0.240221197,
                                      0.055507133,   0.00967554135, 0.00132764635};
    static const double double_c[] = {1.0,
                                      0.69314718055994533,
                                      0.24022650695910156,
                                      0.055504108664819921,
                                      0.0096181291075883367,
                                      0.001333355814678998,
                                      0.0001540353046251363,
                                      1.5252733489948923e-5,
                                      1.3215433089779862e-6,
                                      1.0178198033202949e-7,
                                      7.0741056281812001e-9,
                                      4.4352815232702331e-10};
    const real magic = IS_DOUBLE ? (real)6755399441055744.0 : (real)12582912.0; /* as in exp_parts */
    vec shifted = q + magic;
    vec power = NAME(polynomial)(IS_DOUBLE ? double_c : single_c, IS_DOUBLE ? 11 : 5, q - (shifted - magic));
    return (vec)((NAME(bits))power + ((NAME(bits))shifted << (IS_DOUBLE ? 52 : 23)));
}

/* The normal distribution at s >= 0. normal_tail is erfc(s/sqrt(2))/2, valid up to TAIL_MOST, from where 1 - tail
 * rounds to 1. normal_density is valid up to DENSITY_MOST. NaN stays. The tail is 2^(-1 - s (c[0] + c[1] s + ...)).
 * The coefficients come from tools/make_normal.py; their error is below a third of eps*(1 - 2 tail). */
#define TAIL_MOST NAME(splat)(IS_DOUBLE ? (real)8.49 : (real)5.66)
#define DENSITY_MOST NAME(splat)(IS_DOUBLE ? (real)37.5 : (real)13.1)
INLINE vec NAME(normal_tail)(vec s) {
    static const double single_c[] = {
        1.15110414, 0.459221732, 0.0524425171, -0.00696883421,
        5.24632842e-5, 0.000225736679, -4.85843268e-5, 3.67057478e-6};
    static const double double_c[] = {
        1.1511040990721624, 0.459224094263307, 0.052421193327916699, -0.006899128893372691,
        -5.3352076662995218e-5, 0.00030588931513838039, -7.5254005738414113e-5, 2.3403409576088371e-6,
        4.0990481373844425e-6, -1.3220286333366531e-6, 8.9130198425918573e-8, 8.0355609030513938e-8,
        -3.8730225963282586e-8, 9.6222720503197157e-9, -1.3874896890180835e-9, 4.7169266060132695e-11,
        3.101536046180449e-11, -8.8854796910915624e-12, 1.3571735646895894e-12, -1.3453655302211293e-13,
        8.6891416278453221e-15, -3.3499356620295495e-16, 5.8785829122392142e-18};
    vec p = NAME(polynomial)(IS_DOUBLE ? double_c : single_c, IS_DOUBLE ? 22 : 7, s);
    return NAME(exp2)(-1 - s * p);
}
INLINE vec NAME(normal_density)(vec s) {
    return (real)0.3989422804014327 * NAME(exp2)((real)-0.7213475204444817 * s * s); /* -log2(e)/2 */
}

/* log(1 + e) = 2 atanh(e/(2 + e)) for 0 <= e <= 1; NaN stays */
INLINE vec NAME(log1p)(vec e) {
    vec w = e / (2 + e), square = w * w, series = NAME(splat)(0);
    UNROLL
    for (int k = IS_DOUBLE ? 16 : 7; k > 0; k--)
        series = (series + (real)(2.0 / (2 * k + 1))) * square;
    return w * 2 + w * series;
}

/* log x = k*ln2 + log m, sqrt(1/2) <= m < sqrt(2), f = m - 1. log(1 + f) = 2 atanh(s), s = f/(2 + f), by the series of
 * atanh; the first term left out is below a tenth of an ulp. f, the largest part, is added last. */
INLINE vec NAME(log_of)(vec x) {
    const real magic = IS_DOUBLE ? (real)6755399441055744.0 : (real)12582912.0; /* 1.5 * 2^mantissa bits */
    const real ln2_high = IS_DOUBLE ? (real)0x1.62e42feep-1 : (real)0x1.62e4p-1;
    const real ln2_low = IS_DOUBLE ? (real)0x1.a39ef35793c76p-33 : (real)0x1.7f7d1cp-20;
    const int mantissa = IS_DOUBLE ? 52 : 23;
    const vec zero = NAME(splat)(0), infinity = NAME(splat)((real)INFINITY);
    ivec exponent = ((ivec)x - (ivec)NAME(splat)((real)0.70710678118654752)) >> mantissa;
    vec k = (vec)(exponent + (ivec)NAME(splat)(magic)) - magic;
    vec f = (vec)((ivec)x - (exponent << mantissa)) - 1;
    vec s = f / (2 + f), z = s * s, half = (real)0.5 * f * f;
    vec series = zero;
    if (IS_DOUBLE) {
        series = series + (real)(2.0 / 21);
        series = series * z + (real)(2.0 / 19);
        series = series * z + (real)(2.0 / 17);
        series = series * z + (real)(2.0 / 15);
        series = series * z + (real)(2.0 / 13);
        series = series * z + (real)(2.0 / 11);
    }
    series = series * z + (real)(2.0 / 9);
    series = series * z + (real)(2.0 / 7);
    series = series * z + (real)(2.0 / 5);
    series = series * z + (real)(2.0 / 3);
    vec y = k * ln2_high - ((half - (s * (half + z * series) + k * ln2_low)) - f);
    y = NAME(choose)(x == infinity, infinity, y);
    return NAME(choose)(x > zero, y, NAME(choose)(x == zero, -infinity, zero / zero));
}

INLINE vec NAME(sigmoid_of)(vec x) {
    vec y = 1 / (1 + NAME(exp)(-x));
    return (vec)(~(-x > EXP_MOST) & (ivec)y);
}

/* |x|, and a magnitude with the sign of x */
INLINE vec NAME(size_of)(vec x) { return (vec)((ivec)x & ~(ivec)NAME(splat)((real)-0.0)); }
INLINE vec NAME(signed_as)(vec magnitude, vec x) {
    return (vec)((ivec)magnitude | ((ivec)x & (ivec)NAME(splat)((real)-0.0)));
}

INLINE vec NAME(tanh_of)(vec x) {
    vec e = NAME(expm1)(-2 * NAME(size_of)(x));
    return NAME(signed_as)(-e / (2 + e), x);
}
#undef EXP_MOST
