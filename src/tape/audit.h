// Finds what the tape cannot see, by hashes: memory that is written through a pointer, and operators that
// do not give the same bits again. (Rule T12)
#pragma once

#include <cstdint>
#include <unordered_map>

#include "tape/records.h"
#include "torch_bridge/byte_hash.h"

namespace remat::tape {

class Audit {
 public:
  explicit Audit(StepRecord& record) : record_(record) {}

  /// Notes what an operator made; `storage` has it. Not if bytes of it are never written: those differ each time.
  void made(ValueIndex value, const c10::Storage& storage);

  /// Whether a value is still what its operator made. True for values that were not noted.
  bool is_unchanged(ValueIndex value, const c10::Storage& storage) const;

  /// Whether a value that was made again has the bits that it had. As above.
  bool is_the_same(ValueIndex value, const c10::Storage& storage) const;

 private:
  struct Noted {
    torch_bridge::Hash128 whole;  // all bytes of the storage: nobody may have written any
    torch_bridge::Hash128 shown;  // what the operator's result shows: beyond it may be anything
  };
  bool has_unwritten_bytes(ValueIndex value) const;
  at::Tensor shown_of(ValueIndex value, const c10::Storage& storage) const;

  StepRecord& record_;
  std::unordered_map<std::int32_t, Noted> noted_;
};

}  // namespace remat::tape
