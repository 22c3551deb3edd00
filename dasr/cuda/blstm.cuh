// The recurrence of a bidirectional LSTM layer, forward and backward, in one launch each ("persistent": Diamos et al., ICML 2016).
//
// H = HIDDEN cells a direction. A *group* of NB = H / 32 blocks carries tiles of 64 sequences of one direction through time. Block b of a
// group owns 32 cells and keeps their 4 x 32 rows of the recurrent matrix in shared memory as long as the kernel runs. What
// cells need of each other goes through L2: forward the outputs h themselves, backward partial sums of dh. A counter per tile says how many
// blocks have delivered. All blocks of the grid must run at the same time (cooperative launch).
//
// Columns of a product are handed to threads by the hardware as pairs; rows of the matrices are therefore loaded in an order in which a thread
// gets 8 neighbouring cells, so that every access to memory is 16 bytes wide.

constexpr int H = HIDDEN, NB = H / 32, KC = H / 64;
constexpr int MATRIX = H * 256;             // bytes of a block's share of the recurrent matrix
constexpr int CHUNK = 64 * 128, RING = 6;   // 64 sequences x 64 inputs; chunks in flight for a warpgroup

DEVICE float sigmoid(float x) { return fmaf(0.5f, tanh_fast(0.5f * x), 0.5f); }
DEVICE u32 swizzled(u32 row, u32 piece) { return row * 128 + ((piece ^ (row & 7)) << 4); }
DEVICE u32 least(u32 a, u32 b) { return a < b ? a : b; }

struct Place {  // of this block in the grid
    u32 block, group, direction, first_cell;
    DEVICE Place(u32 groups) {
        block = ::block() % NB;
        group = ::block() / NB % groups;
        direction = ::block() / (NB * groups);
        first_cell = block * 32;
    }
};
