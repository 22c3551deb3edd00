// What the kernels ask of a GPU (the matrix unit: Hopper, sm_90a), as PTX: they name these functions only, so that a test can put
// plain C++ in their place and run the same kernels on a CPU. mma_<columns> is generated (dasr/models/fast_kernels.py).
typedef unsigned short bf16;  // storage only
typedef unsigned int u32;
typedef unsigned long long u64;

#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads, 1)
#define DEVICE __device__ __forceinline__
#define SHARED_MEMORY(name) extern __shared__ __align__(1024) unsigned char name[]

struct Vec {  // 16 bytes
    u32 x, y, z, w;
};

DEVICE u32 thread() { return threadIdx.x; }
DEVICE u32 block() { return blockIdx.x; }
DEVICE u32 blocks() { return gridDim.x; }
DEVICE u32 shared_address(const void* pointer) { return (u32)__cvta_generic_to_shared(pointer); }

DEVICE void barrier() { __syncthreads(); }
DEVICE void barrier(u32 warpgroup) { asm volatile("bar.sync %0, 128;" ::"r"(warpgroup + 1) : "memory"); }

// One thread, after a barrier that ordered the others' stores before it: publish them to the whole GPU.
DEVICE void arrive(u32* counter) {
    asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
}
// One thread; a barrier must follow before others read what was published.
DEVICE void wait_for(const u32* counter, u32 target) {
    u32 seen;
    do {
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(counter) : "memory");
    } while (seen < target);
}

// Loads through L2 only: written by other SMs while this kernel runs.
DEVICE Vec load_fresh(const void* pointer) {
    Vec v;
    asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(pointer)
                 : "memory");
    return v;
}
DEVICE void copy_async(u32 target, const void* source) {  // 16 bytes, global to shared, past L1
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(target), "l"(source) : "memory");
}
DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int PENDING>
DEVICE void wait_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

DEVICE void publish_shared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }  // before the matrix units read it
DEVICE void begin_mma() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void commit_mma() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int PENDING>
DEVICE void wait_mma() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}
template <int N>
DEVICE void settle(float (&acc)[N]) {  // after wait_mma: no use of acc may be moved before it
#pragma unroll
    for (int i = 0; i < N; ++i) asm volatile("" : "+f"(acc[i])::"memory");
}
// A matrix of rows of 128 bytes with the 128-byte swizzle, K-major; groups of 8 rows are 1,024 bytes apart.
DEVICE u64 descriptor(u32 address) {
    return (u64)((address & 0x3FFFF) >> 4) | (1ull << 16) | ((u64)(1024 >> 4) << 32) | (1ull << 62);
}

DEVICE float tanh_fast(float x) {  // relative error 2^-11: a quarter of what rounding to bf16 does
    float r;
    asm("tanh.approx.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}
DEVICE float exp2_fast(float x) {  // relative error 2^-22
    float r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}
DEVICE float from_lane(float x, u32 lane_mask) { return __shfl_xor_sync(0xFFFFFFFFu, x, lane_mask); }
DEVICE u32 pack(float low, float high) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
DEVICE float low(u32 pair) { return __uint_as_float(pair << 16); }
DEVICE float high(u32 pair) { return __uint_as_float(pair & 0xFFFF0000u); }
