// out <- the sum of f times vector over the first COUNT of six, in their order; `out` may be one of them. One pass over memory.
// WIDTH 4: every pointer is a multiple of 16 bytes. `length` is in units of WIDTH numbers. The last NARROW vectors are bf16.
template <bool narrow> DEVICE void take(const void* vector, u64 i, float (&x)[WIDTH]) {
    if constexpr (narrow) {
#if WIDTH == 4
        const uint2 v = ((const uint2*)vector)[i];
        x[0] = low(v.x), x[1] = high(v.x), x[2] = low(v.y), x[3] = high(v.y);
#else
        x[0] = low(((const bf16*)vector)[i]);
#endif
    } else {
#if WIDTH == 4
        const float4 v = ((const float4*)vector)[i];
        x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
#else
        x[0] = ((const float*)vector)[i];
#endif
    }
}

KERNEL(512) combine(float* out, const void* a, const void* b, const void* c, const void* d, const void* e, const void* f,
                    float fa, float fb, float fc, float fd, float fe, float ff, int length) {
    const void* const vectors[6] = {a, b, c, d, e, f};
    const float factors[6] = {fa, fb, fc, fd, fe, ff};
    for (u64 i = block() * 512ull + thread(); i < length; i += blocks() * 512ull) {
        float sum[WIDTH] = {}, x[WIDTH];
#pragma unroll
        for (int n = 0; n < COUNT; ++n) {
            if (n < COUNT - NARROW)
                take<false>(vectors[n], i, x);
            else
                take<true>(vectors[n], i, x);
#pragma unroll
            for (int k = 0; k < WIDTH; ++k) sum[k] += factors[n] * x[k];
        }
#if WIDTH == 4
        ((float4*)out)[i] = make_float4(sum[0], sum[1], sum[2], sum[3]);
#else
        out[i] = sum[0];
#endif
    }
}
