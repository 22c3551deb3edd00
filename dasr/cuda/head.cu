// Cross-entropy of a softmax over the columns of bf16 logits: the logits become their gradient in place, one read and one write.

constexpr float LOG2E = 1.4426950408889634f;
constexpr int VECTORS = (COLUMNS + 8191) / 8192;  // of 8 columns, a thread: 1,024 threads hold a row
constexpr int STRIDE = (COLUMNS + 7) / 8 * 8;     // columns of a stored row; those past COLUMNS may hold anything

struct Partial {  // of sum exp(x): scale * 2^largest
    float largest, scale;
    DEVICE void add(float other_largest, float other_scale) {
        const float most = fmaxf(largest, other_largest);
        scale = scale * exp2_fast(largest - most) + other_scale * exp2_fast(other_largest - most);
        largest = most;
    }
};

// logits: bf16 [rows, STRIDE]; labels: [rows], -1: not counted (zeros); losses: float [rows];
// column_sums: float [blocks, STRIDE]: sums of the gradient over the rows of each block.
KERNEL(1024) softmax_gradient(bf16* logits, const int* labels, float* losses, float* column_sums, int rows, float scale) {
    SHARED_MEMORY(shared);  // two rows: one at work, one on its way; then the warps' partial sums
    Partial* const of_warps = (Partial*)(shared + 4 * STRIDE);
    const u32 tid = thread();
    float sums[VECTORS][8] = {};
    auto fetch = [&](u32 row, u32 buffer) {
        if (row < rows)
#pragma unroll
            for (u32 n = 0; n < VECTORS; ++n) {
                const u32 at = (n * 1024 + tid) * 8;
                if (at < STRIDE) copy_async(shared_address(shared) + buffer * 2 * STRIDE + at * 2, logits + (u64)row * STRIDE + at);
            }
        commit_copies();
    };
    fetch(block(), 0);
    u32 buffer = 0;
    for (u32 row = block(); row < rows; row += blocks(), buffer ^= 1) {
        wait_copies<0>();  // each thread reads what it copied itself
        fetch(row + blocks(), buffer ^ 1);
        const unsigned char* const values = shared + buffer * 2 * STRIDE;
        const int label = labels[row];
        const auto logit = [&](u32 n, float (&x)[8]) {  // times log2(e); read again where needed: registers are scarce
            const u32 at = (n * 1024 + tid) * 8;
            if (at < STRIDE) unpack(*(const Vec*)(values + at * 2), x);
#pragma unroll
            for (u32 v = 0; v < 8; ++v) x[v] = at + v < COLUMNS ? x[v] * LOG2E : -1e30f;
        };
        Partial mine{-1e30f, 0};
#pragma unroll
        for (u32 n = 0; n < VECTORS; ++n) {
            float x[8], largest = -1e30f, total = 0;
            logit(n, x);
#pragma unroll
            for (u32 v = 0; v < 8; ++v) largest = fmaxf(largest, x[v]);
#pragma unroll
            for (u32 v = 0; v < 8; ++v) total += exp2_fast(x[v] - largest);
            mine.add(largest, total);
        }
#pragma unroll
        for (u32 mask = 16; mask; mask /= 2) {
            const float largest = from_lane(mine.largest, mask), other = from_lane(mine.scale, mask);
            mine.add(largest, other);
        }
        barrier();  // the partial sums of the row before are read
        if (tid % 32 == 0) of_warps[tid / 32] = mine;
        barrier();
        mine = of_warps[tid % 32];
#pragma unroll
        for (u32 mask = 16; mask; mask /= 2) {
            const float largest = from_lane(mine.largest, mask), other = from_lane(mine.scale, mask);
            mine.add(largest, other);
        }
        const float total = mine.largest + log2f(mine.scale), factor = label >= 0 ? scale : 0;
#pragma unroll
        for (u32 n = 0; n < VECTORS; ++n) {
            const u32 at = (n * 1024 + tid) * 8;
            float x[8], gradient[8];
            logit(n, x);
#pragma unroll
            for (u32 v = 0; v < 8; ++v) {
                const bool chosen = at + v == (u32)label;
                if (chosen) losses[row] = (total - x[v]) / LOG2E;
                gradient[v] = (exp2_fast(x[v] - total) - chosen) * factor;
                sums[n][v] += gradient[v];
            }
            if (at < STRIDE) *(Vec*)(logits + (u64)row * STRIDE + at) = packed(gradient);
        }
        if (label < 0 && tid == 0) losses[row] = 0;
    }
#pragma unroll
    for (u32 n = 0; n < VECTORS; ++n)
        if ((n * 1024 + tid) * 8 < STRIDE) store8(column_sums + (u64)block() * STRIDE + (n * 1024 + tid) * 8, sums[n]);
}
