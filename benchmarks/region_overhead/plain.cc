// Contender `plain`: LibTorch alone.
#include "region_overhead/chain.h"

namespace remat::benchmarks {

at::Tensor plain_forward(const Chain& chain) { return chain.forward(chain.input()); }

}  // namespace remat::benchmarks
