// Plain C++ in place of dasr/models/cuda/hopper.cuh: one coroutine a GPU thread, so that the recurrence's kernels run on a CPU.
// Blocks and threads take turns at barriers and while waiting; the matrix unit reads shared memory through its swizzle, as the GPU does.
#include <ucontext.h>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>
typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned long long u64;
#define KERNEL(threads) extern "C" void
#define DEVICE inline
struct Vec { u32 x, y, z, w; };
struct float4 { float x, y, z, w; };
struct uint2 { u32 x, y; };
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

struct Barrier { int arrived = 0, generation = 0; };
struct Block { std::vector<unsigned char> memory; u32 size, count; Barrier all, half[2], warp[32]; float lanes[1024]; };
struct Thread { ucontext_t context; std::vector<char> stack; Block* block; u32 index, block_index; bool done = false; };
static Thread* current;
static ucontext_t scheduler;
static std::function<void()> body;
inline void give_way() { swapcontext(&current->context, &scheduler); }
inline void meet(Barrier& b, int count) {
    const int generation = b.generation;
    if (++b.arrived == count) { b.arrived = 0; ++b.generation; return; }
    while (b.generation == generation) give_way();
}
static void enter() { body(); current->done = true; give_way(); }
static void run(u32 blocks, u32 size, size_t shared_bytes, std::function<void()> kernel) {
    body = kernel;
    std::vector<Block> all(blocks);
    std::vector<Thread> threads(blocks * size);
    for (u32 i = 0; i < threads.size(); ++i) {
        Thread& t = threads[i];
        t.block = &all[i / size], t.index = i % size, t.block_index = i / size, t.stack.resize(65536);
        if (t.index == 0) t.block->memory.assign(shared_bytes, 0xFF), t.block->size = size, t.block->count = blocks;  // NaN where nothing was written
        getcontext(&t.context);
        t.context.uc_stack = {t.stack.data(), 0, t.stack.size()};
        makecontext(&t.context, enter, 0);
    }
    for (bool left = true; left;) {
        left = false;
        for (Thread& t : threads)
            if (!t.done) { current = &t; swapcontext(&scheduler, &t.context); left = true; }
    }
}

#define SHARED_MEMORY(name) unsigned char* name = current->block->memory.data()
inline u32 thread() { return current->index; }
inline u32 block() { return current->block_index; }
inline u32 blocks() { return current->block->count; }
inline u32 shared_address(const void* p) { return (u32)((const unsigned char*)p - current->block->memory.data()); }
inline void barrier() { meet(current->block->all, current->block->size); }
inline void barrier(u32 warpgroup) { meet(current->block->half[warpgroup], 128); }
inline void arrive(u32* counter) { ++*counter; }
inline void wait_for(const u32* counter, u32 target) { while (*(volatile const u32*)counter < target) give_way(); }
inline Vec load_fresh(const void* p) { return *(const Vec*)p; }
inline void copy_async(u32 target, const void* source) { std::memcpy(current->block->memory.data() + target, source, 16); }
inline void commit_copies() {}
template <int> void wait_copies() {}
inline void publish_shared() {}
inline void begin_mma() {}
inline void commit_mma() {}
template <int> void wait_mma() {}
template <int N> void settle(float (&)[N]) {}
inline u64 descriptor(u32 address) { return address; }
inline float tanh_fast(float x) { return std::tanh(x); }
inline float exp2_fast(float x) { return std::exp2(x); }
inline float from_lane(float x, u32 mask) {
    Block& b = *current->block;
    b.lanes[current->index] = x;
    meet(b.warp[current->index / 32], 32);
    const float found = b.lanes[current->index ^ mask];
    meet(b.warp[current->index / 32], 32);
    return found;
}
inline float low(u32 pair) { u32 bits = pair << 16; float f; std::memcpy(&f, &bits, 4); return f; }
inline float high(u32 pair) { u32 bits = pair & 0xFFFF0000u; float f; std::memcpy(&f, &bits, 4); return f; }
inline u32 rounded(float f) { u32 bits; std::memcpy(&bits, &f, 4); return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16; }
inline u32 pack(float low, float high) { return rounded(low) | rounded(high) << 16; }
inline float element(u64 base, u32 row, u32 k) {  // rows of 128 bytes; address bits 4-6 are exchanged by bits 7-9
    const u64 address = base + row * 128 + k * 2;
    return low(*(bf16*)(current->block->memory.data() + (address ^ (address >> 7 & 7) << 4)));
}
template <int R>
void multiply(float (&d)[R], u64 a, u64 b, int accumulate) {
    const u32 lane = current->index % 32, first = current->index % 128 / 32 * 16 + lane / 4;
    for (int i = 0; i < R; ++i) {
        const u32 row = first + i / 2 % 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
        float sum = accumulate ? d[i] : 0;
        for (u32 k = 0; k < 16; ++k) sum += element(a, row, k) * element(b, column, k);
        d[i] = sum;
    }
}
