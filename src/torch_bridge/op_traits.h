// What the tape needs to know of an operator before it can run it again.
// Tried on LibTorch 1.13.1 and 2.11.0+cu130; the names are those of 2.6.0, too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include "torch_bridge/op_draws.h"
#include "torch_bridge/op_writes.h"

namespace remat::torch_bridge {

struct OpTraits {
  explicit OpTraits(const c10::OperatorHandle& op);

  c10::OperatorHandle handle;
  std::string name;  ///< "aten::add.Tensor"
  OpWrites writes;
  OpDraws draws;
  std::uint64_t identity;    ///< the same in every process: a hash of the name
  bool makes_fresh = false;  ///< its result is memory that nobody has written: the empty family
  bool overwrites =
      false;  ///< of the arguments that it writes it reads nothing: zero_, copy_, out=
  bool exchanges_storage = false;  ///< set_: the tensor gets another storage
  bool resizes = false;            ///< the tensor's storage may change its size
  bool only_shows = false;         ///< writes nothing, makes nothing: a view, a number
  /// Why its results can never be made again; nullptr: they may.
  const char* obstacle = nullptr;

  std::size_t argument_count() const { return handle.schema().arguments().size(); }
  std::size_t result_count() const { return handle.schema().returns().size(); }
};

/// The same for every thread, until the process ends.
/// Cost: a hash look-up; the first call of a thread for an operator takes a lock, the first of all walks its schema.
/// Safe on any thread.
const OpTraits& traits_of(const c10::OperatorHandle& op);

}  // namespace remat::torch_bridge
