// The recurrence forward: see blstm.cuh.

template <int KCHUNK>
DEVICE void load_chunk(u32 ring, const bf16* h, u32 tile, u32 B, u32 tid) {  // h: [B, 2H] at this time and direction
#pragma unroll
    for (u32 m = 0; m < 4; ++m) {
        const u32 piece = tid + 128 * m, row = piece / 8, part = piece % 8;
        const u32 sequence = least(tile * 64 + row, B - 1);
        copy_async(ring + (KCHUNK % RING) * CHUNK + swizzled(row, part), h + (u64)sequence * 2 * H + KCHUNK * 64 + part * 8);
    }
    commit_copies();
}

template <int K>
struct Chunks {  // acc += h [64, H] times the block's matrix, chunk by chunk as they arrive
    static DEVICE void run(float (&acc)[64], u32 ring, u32 matrix, const bf16* h, u32 tile, u32 B, u32 tid, u32 wg) {
        constexpr int issued = K < 2 ? RING : RING + K - 2, committed = issued < KC ? issued : KC;
        wait_copies<committed - K - 1>();
        if (K > 1) wait_mma<1>();
        publish_shared();
        barrier(wg);  // the chunk is whole, and chunk K - 2 is used up
        if constexpr (K >= 2 && K - 2 + RING < KC) load_chunk<K - 2 + RING>(ring, h, tile, B, tid);
        begin_mma();
#pragma unroll
        for (int k = 0; k < 4; ++k)
            mma_128(acc, descriptor(ring + (K % RING) * CHUNK + 32 * k), descriptor(matrix + K * 16384 + 32 * k), K + k > 0);
        commit_mma();
        if constexpr (K + 1 < KC) Chunks<K + 1>::run(acc, ring, matrix, h, tile, B, tid, wg);
    }
};
template <int K>
DEVICE void load_first(u32 ring, const bf16* h, u32 tile, u32 B, u32 tid) {
    load_chunk<K>(ring, h, tile, B, tid);
    if constexpr (K + 1 < RING && K + 1 < KC) load_first<K + 1>(ring, h, tile, B, tid);
}

// gates: bf16 [T, B, 2, 4, H], in: x W_ih^T, out: i f g o after their nonlinearity. y: bf16 [T, B, 2H]. c: float [T, B, 2H].
// w*: bf16 [4H, H] of each direction; b*: float [4H]. arrived: zeros [2, tiles]. wave: tiles of a group that go through time together.
KERNEL(256) blstm_forward(bf16* gates, const bf16* w0, const bf16* w1, const float* b_ih0, const float* b_hh0, const float* b_ih1,
                     const float* b_hh1, bf16* y, float* c, u32* arrived, int steps, int batch, int groups, int wave) {
    SHARED_MEMORY(shared);
    const u32 T = steps, B = batch, tiles = (B + 63) / 64;
    const Place at(groups);
    const bf16* w = at.direction ? w1 : w0;
    float* bias = (float*)(shared + MATRIX + 2 * RING * CHUNK);
    for (u32 i = thread(); i < 128 * H / 8; i += 256) {
        const u32 row = i / (H / 8), piece = i % (H / 8), cell = row / 2 % 4 * 8 + row / 8 % 4 * 2 + row % 2;
        const Vec v = *(const Vec*)(w + (u64)(row / 32 * H + at.first_cell + cell) * H + piece * 8);
        *(Vec*)(shared + piece / 8 * 16384 + swizzled(row, piece % 8)) = v;
    }
    if (thread() < 128) {
        const u32 i = thread() / 32 * H + at.first_cell + thread() % 32;
        bias[thread()] = at.direction ? b_ih1[i] + b_hh1[i] : b_ih0[i] + b_hh0[i];
    }
    publish_shared();
    barrier();

    const u32 wg = thread() / 128, tid = thread() % 128, q = tid % 4, first_row = tid / 32 * 16 + tid % 32 / 4;
    const u32 matrix = shared_address(shared), ring = matrix + MATRIX + wg * RING * CHUNK;
    const u32 mine = (tiles - at.group + groups - 1) / groups, cells = at.first_cell + q * 8;
    for (u32 first = 0; first < mine; first += wave)
        for (u32 t = 0; t < T; ++t)
            for (u32 i = first + wg; i < least(first + wave, mine); i += 2) {
                const u32 tile = at.group + groups * i, now = at.direction ? T - 1 - t : t, before = at.direction ? now + 1 : now - 1;
                u32* const counter = arrived + at.direction * tiles + tile;
                Vec x[2][4];
                float state[2][8] = {};
#pragma unroll
                for (u32 r = 0; r < 2; ++r) {  // what does not depend on the other blocks: before waiting for them
                    const u32 sequence = least(tile * 64 + first_row + 8 * r, B - 1);
#pragma unroll
                    for (u32 g = 0; g < 4; ++g) x[r][g] = *(const Vec*)(gates + (((u64)now * B + sequence) * 8 + at.direction * 4 + g) * H + cells);
                    if (t) load8(c + ((u64)before * B + sequence) * 2 * H + at.direction * H + cells, state[r]);
                }
                float acc[64];
#pragma unroll
                for (int k = 0; k < 64; ++k) acc[k] = 0;
                if (t) {
                    if (tid == 0) wait_for(counter, NB * t);
                    barrier(wg);
                    const bf16* h = y + (u64)before * B * 2 * H + at.direction * H;
                    load_first<0>(ring, h, tile, B, tid);
                    Chunks<0>::run(acc, ring, matrix, h, tile, B, tid, wg);
                    wait_mma<0>();
                    settle(acc);
                }
#pragma unroll
                for (u32 r = 0; r < 2; ++r) {
                    float a[4][8], out[8];
#pragma unroll
                    for (u32 g = 0; g < 4; ++g) {
                        float in[8], b[8];
                        unpack(x[r][g], in);
                        load8(bias + g * 32 + q * 8, b);
#pragma unroll
                        for (u32 v = 0; v < 8; ++v) {
                            const float z = acc[(g * 4 + v / 2) * 4 + r * 2 + v % 2] + in[v] + b[v];
                            a[g][v] = g == 2 ? tanh_fast(z) : sigmoid(z);
                        }
                        x[r][g] = packed(a[g]);
                    }
#pragma unroll
                    for (u32 v = 0; v < 8; ++v) {
                        state[r][v] = a[1][v] * state[r][v] + a[0][v] * a[2][v];
                        out[v] = a[3][v] * tanh_fast(state[r][v]);
                    }
                    const u32 sequence = tile * 64 + first_row + 8 * r;
                    if (sequence < B) *(Vec*)(y + ((u64)now * B + sequence) * 2 * H + at.direction * H + cells) = packed(out);
                }
                barrier(wg);  // all of h is stored; the ring is free
                if (tid == 0) arrive(counter);
#pragma unroll
                for (u32 r = 0; r < 2; ++r) {
                    const u32 sequence = tile * 64 + first_row + 8 * r;
                    if (sequence >= B) continue;
                    store8(c + ((u64)now * B + sequence) * 2 * H + at.direction * H + cells, state[r]);
#pragma unroll
                    for (u32 g = 0; g < 4; ++g) *(Vec*)(gates + (((u64)now * B + sequence) * 8 + at.direction * 4 + g) * H + cells) = x[r][g];
                }
            }
}
