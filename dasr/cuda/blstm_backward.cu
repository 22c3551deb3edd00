// The recurrence backward: see blstm.cuh.

constexpr int HALF = H / 2;               // cells whose partial dh one product computes
constexpr int TEAMS = 256 / TEAM;          // TEAM threads carry a tile: 256 for least latency, 128 so that two tiles overlap
constexpr int TILE_CELLS = 64 * 32;

template <int SIZE>
DEVICE void team_barrier(u32 team) {
    if constexpr (SIZE == 256) barrier();
    else barrier(team);
}

// gates: in: i f g o, out: their gradient before the nonlinearity. dy: bf16 [T, B, 2H]; c: float [T, B, 2H].
// partial: bf16 [2, 2, groups, TEAMS, NB, NB, 64, 32], any content; db: float [groups, 2, 4H]: sums over this group's sequences.
KERNEL(256) blstm_backward(bf16* gates, const bf16* w0, const bf16* w1, const bf16* dy, const float* c, bf16* partial, float* db,
                           u32* arrived, int steps, int batch, int groups) {
    SHARED_MEMORY(shared);
    const u32 T = steps, B = batch, tiles = (B + 63) / 64;
    const Place at(groups);
    const bf16* w = at.direction ? w1 : w0;
    // The matrix transposed: row n is a cell of the layer, its 128 entries the 4 x 32 gates of this block.
    for (u32 i = thread(); i < 64 * H / 8; i += 256) {
        const u32 k = i % 64 * 2, n = i / 64 * 8;  // two rows of w, eight of its columns
        const bf16* source = w + (u64)(k / 32 * H + at.first_cell + k % 32) * H + n;
        const Vec a = *(const Vec*)source, b = *(const Vec*)(source + H);
        const u32 even[4] = {a.x, a.y, a.z, a.w}, odd[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
        for (u32 v = 0; v < 8; ++v) {
            const u32 cell = n + v, row = cell / 32 * 32 + cell % 8 / 2 * 8 + cell % 32 / 8 * 2 + cell % 2;
            const u32 both = v % 2 ? even[v / 2] >> 16 | (odd[v / 2] & 0xFFFF0000u) : (even[v / 2] & 0xFFFF) | odd[v / 2] << 16;
            *(u32*)(shared + k / 64 * (H * 128) + swizzled(row, k % 64 / 8) + k % 8 * 2) = both;
        }
    }
    const u32 team = thread() / TEAM, tid = thread() % TEAM, q = tid % 4, cells = at.first_cell + q * 8;
    unsigned char* const inputs = shared + MATRIX + team * 2 * CHUNK;
    float4* const sums = (float4*)(shared + MATRIX + TEAMS * 2 * CHUNK);  // [8][256]: each thread's own bias gradient
    float* const carried_over = (float*)(sums + 8 * 256) + team * TILE_CELLS + tid * 8;  // dc, for the step before
#pragma unroll
    for (u32 v = 0; v < 8; ++v) sums[v * 256 + thread()] = make_float4(0, 0, 0, 0);
    publish_shared();
    barrier();

    const u32 from = shared_address(inputs), slot = (at.direction * groups + at.group) * TEAMS + team, slots = 2 * groups * TEAMS;
    const u32 mine = (tiles - at.group + groups - 1) / groups;
    for (u32 i = team, number = 0; i < mine; i += TEAMS, number += T - 1)
        for (u32 s = 0; s < T; ++s) {
            const u32 tile = at.group + groups * i, now = at.direction ? s : T - 1 - s, before = at.direction ? now + 1 : now - 1;
            u32* const counter = arrived + at.direction * tiles + tile;
            Vec result[TEAMS][4];
#pragma unroll
            for (u32 r = 0; r < TEAMS; ++r) {
                const u32 row = r * (TEAM / 4) + tid / 4, sequence = least(tile * 64 + row, B - 1);
                const bool real = tile * 64 + row < B;
                const bf16* const place = gates + (((u64)now * B + sequence) * 8 + at.direction * 4) * H + cells;
                const u64 column = (u64)sequence * 2 * H + at.direction * H + cells;
                float gate[4][8], dh[8], state[8], previous[8] = {}, carried[8] = {};
                unpack(*(const Vec*)(dy + (u64)now * B * 2 * H + column), dh);
#pragma unroll
                for (u32 g = 0; g < 4; ++g) unpack(*(const Vec*)(place + g * H), gate[g]);
                load8(c + (u64)now * B * 2 * H + column, state);
                if (s + 1 < T) load8(c + (u64)before * B * 2 * H + column, previous);
                if (s) {
                    load8(carried_over + r * (TEAM * 8), carried);
                    if (r == 0) {
                        if (tid == 0) wait_for(counter, NB * s);
                        team_barrier<TEAM>(team);
                    }
                    const bf16* mail = partial + ((((u64)((number + s + 1) & 1)) * slots + slot) * NB * NB + at.block) * TILE_CELLS + row * 32 + q * 8;
#pragma unroll
                    for (u32 source = 0; source < NB; ++source) {
                        float part[8];
                        unpack(load_fresh(mail + source * NB * TILE_CELLS), part);
#pragma unroll
                        for (u32 v = 0; v < 8; ++v) dh[v] += part[v];
                    }
                }
                float d[4][8];
#pragma unroll
                for (u32 v = 0; v < 8; ++v) {
                    const float in = gate[0][v], keep = gate[1][v], new_ = gate[2][v], out = gate[3][v], tc = tanh_fast(state[v]);
                    const float dstate = real ? dh[v] * out * (1 - tc * tc) + carried[v] : 0.0f;
                    d[0][v] = dstate * new_ * in * (1 - in);
                    d[1][v] = dstate * previous[v] * keep * (1 - keep);
                    d[2][v] = dstate * in * (1 - new_ * new_);
                    d[3][v] = real ? dh[v] * tc * out * (1 - out) : 0.0f;
                    carried[v] = dstate * keep;
                }
                store8(carried_over + r * (TEAM * 8), carried);
#pragma unroll
                for (u32 g = 0; g < 4; ++g) {
                    result[r][g] = packed(d[g]);
                    *(Vec*)(inputs + g / 2 * CHUNK + swizzled(row, g % 2 * 4 + q)) = result[r][g];
                }
            }
            publish_shared();
            team_barrier<TEAM>(team);
#pragma unroll
            for (u32 p = 0; p < TEAMS; ++p) {
                const u32 half = TEAMS == 1 ? tid / 128 : p;
                const u32 matrix = shared_address(shared) + half * HALF * 128;
                float acc[HALF / 2];
                begin_mma();  // after the last step in vain: under a condition, the compiler would serialise it
#pragma unroll
                for (int k = 0; k < 8; ++k)
                    MMA_HALF(acc, descriptor(from + k / 4 * CHUNK + k % 4 * 32), descriptor(matrix + k / 4 * (H * 128) + k % 4 * 32), k > 0);
                commit_mma();
                const u32 row = p * (TEAM / 4) + tid / 4, sequence = tile * 64 + row;  // while the matrix units work
                bf16* const place = gates + (((u64)now * B + sequence) * 8 + at.direction * 4) * H + cells;
#pragma unroll
                for (u32 g = 0; g < 4; ++g) {
                    if (sequence < B) *(Vec*)(place + g * H) = result[p][g];
                    float f[8];
                    unpack(result[p][g], f);
#pragma unroll
                    for (u32 part = 0; part < 2; ++part) {
                        float4& sum = sums[(g * 2 + part) * 256 + thread()];
                        sum = make_float4(sum.x + f[part * 4], sum.y + f[part * 4 + 1], sum.z + f[part * 4 + 2], sum.w + f[part * 4 + 3]);
                    }
                }
                wait_mma<0>();
                settle(acc);
                if (s + 1 < T) {
                    const u32 first_row = tid % 128 / 32 * 16 + tid % 32 / 4;
                    bf16* mail = partial + (((u64)((number + s) & 1) * slots + slot) * NB * NB + at.block * NB + half * (NB / 2)) * TILE_CELLS + q * 8;
#pragma unroll
                    for (u32 r = 0; r < 2; ++r)
#pragma unroll
                        for (u32 target = 0; target < NB / 2; ++target) {
                            float f[8];
#pragma unroll
                            for (u32 v = 0; v < 8; ++v) f[v] = acc[(target * 4 + v / 2) * 4 + r * 2 + v % 2];
                            *(Vec*)(mail + target * TILE_CELLS + (first_row + 8 * r) * 32) = packed(f);
                        }
                }
            }
            team_barrier<TEAM>(team);  // everything is stored; the inputs are used up
            if (tid == 0 && s + 1 < T) arrive(counter);
        }
    barrier();
    if (thread() < 128) {
        const u32 g = thread() / 32, cell = thread() % 32;
        float total = 0;
        for (u32 r = 0; r < 64; ++r) total += ((float*)&sums[(g * 2 + cell % 8 / 4) * 256 + r * 4 + cell / 8])[cell % 4];
        db[((u64)at.group * 2 + at.direction) * 4 * H + g * H + at.first_cell + cell] = total;
    }
}
