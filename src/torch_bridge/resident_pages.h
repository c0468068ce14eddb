// Which pages of reserved address space a heap uses, and the system calls that take and return them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace remat::torch_bridge {

/// Pages that may be resident, as ranges of addresses. All others cannot be accessed: they are no data of the
/// process, and the kernel puts no huge page together over them.
///
/// Threads: one at a time.
class ResidentPages {
 public:
  using Address = std::uintptr_t;

  static constexpr std::size_t kPage = std::size_t{4} << 10;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;

  /// Address space of `bytes`, a multiple of huge pages, beginning at one; 0 if there is none. `at_once`: all of
  /// it is about to be touched, so that the kernel can refuse what it will never have.
  static Address reserve(std::size_t bytes, bool at_once);

  std::size_t bytes() const { return bytes_; }

  /// What touch() of the range would add to bytes(): a huge page of which nothing is resident comes as a whole.
  std::size_t fresh_bytes(Address begin, Address end) const;

  /// Has the range accessible. False where the operating system refuses; some of it may be accessible then.
  bool touch(Address begin, Address end);

  /// Hands pages of the range back, the highest first, until at least `most` bytes are or none is left. Both
  /// ends, and what is handed back, are multiples of `unit`: kPage or kHugePage. Returns how many bytes.
  std::size_t discard(Address begin, Address end, std::size_t most, std::size_t unit);

 private:
  using Range = std::pair<Address, Address>;

  std::vector<Range> fresh(Address begin, Address end) const;
  void add(Range range);
  void remove(Range range);

  std::map<Address, Address> ranges_;  // begin -> end; apart from one another
  std::size_t bytes_ = 0;
};

}  // namespace remat::torch_bridge
