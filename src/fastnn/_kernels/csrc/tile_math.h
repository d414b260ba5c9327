/* exp and what is made of it; contracts in fnn.h.
 *
 * exp: Cody-Waite reduction t = n*ln2 + r, |r| <= ln2/2, then the Taylor series of expm1(r), whose next term is below a
 * tenth of an ulp. Results near or below the smallest normal number are 0. erfc: exp of a polynomial, of log(erfc(t)).
 * log1p on [0, 1]: the Taylor series of atanh. Each has an error of at most four units in the last place (erfc: of 1,
 * which is what it is taken from). */
#define EXP_MOST NAME(splat)(IS_DOUBLE ? (real)708.0 : (real)88.0) /* of it, exp is finite; of minus as much not denormal */

/* exp(t) = scale*(1 + fraction) for t from -EXP_MOST to EXP_MOST; NaN stays NaN, and beyond they mean nothing */
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

/* For t <= EXP_MOST: exp(t), and exp(t) - 1; 0 and -1 where results come near the smallest normal number. */
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

/* erfc(t) for t >= 0, NaN stays: exp(-t (c[0] + c[1] t + ...)), coefficients from tools/make_erf.py, 9 up to t = 4 and 23
 * up to 6. What they are off by is less than a third of eps of 1 - erfc(t). Beyond, that is 1. */
INLINE vec NAME(erfc)(vec t) {
    static const double single_c[] = {1.12837917,      0.636619382,   0.102777831,   -0.019153064,  -0.000160395753,
                                      0.00166702702, -0.00063283655, 0.00011764117, -9.25625228e-6};
    static const double double_c[] = {
        1.1283791670955125,     0.6366197723676116,     0.10277260330005875,     -0.019128446963042011,
        -0.00020919523049931857, 0.0016962105309508718, -0.00059014681626377443, 2.5955213810275197e-5,
        6.4290000364617026e-5,   -2.9323525281270818e-5, 2.7958485468366902e-6,  3.5646998223905568e-6,
        -2.4298083258301658e-6,  8.5372070498200829e-7,  -1.7409520105303804e-7, 8.3709989126543717e-9,
        7.7828796081299905e-9,   -3.1533102582824561e-9, 6.8114276683087839e-10, -9.5490215746636382e-11,
        8.7218956663816751e-12,  -4.7553857361596978e-13, 1.1801498151652929e-14};
    const double *c = IS_DOUBLE ? double_c : single_c;
    const int last = IS_DOUBLE ? 22 : 8;
    vec square = t * t, even = NAME(splat)((real)c[last]), odd = NAME(splat)((real)c[last - 1]);
    UNROLL
    for (int k = last - 2; k > 0; k -= 2) {
        even = even * square + (real)c[k];
        odd = odd * square + (real)c[k - 1];
    }
    even = even * square + (real)c[0];
    vec e = NAME(exp)(-t * (odd * t + even));
    return NAME(choose)(t > NAME(splat)(IS_DOUBLE ? (real)6.0 : (real)4.0), NAME(splat)(0), e);
}

/* log(1 + e) = 2 atanh(e/(2 + e)) for 0 <= e <= 1; NaN stays */
INLINE vec NAME(log1p)(vec e) {
    vec w = e / (2 + e), square = w * w, series = NAME(splat)(0);
    UNROLL
    for (int k = IS_DOUBLE ? 16 : 7; k > 0; k--)
        series = (series + (real)(2.0 / (2 * k + 1))) * square;
    return w * 2 + w * series;
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
