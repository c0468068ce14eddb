// Placement: which of a model's layers, run one after another, form checkpointed regions.
// Needs no LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace remat {

/// A run of consecutive layers [begin, end) and whether it is one checkpointed region.
struct Segment {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  bool checkpointed = false;

  friend bool operator==(const Segment& a, const Segment& b) {
    return a.begin == b.begin && a.end == b.end && a.checkpointed == b.checkpointed;
  }
};

/// A placement rule: none, full, every:K, segments:N or sqrt. A plain value, cheap to copy.
///
/// For n layers, the rules give these segments:
/// - `none`:       one segment, not checkpointed.
/// - `full`:       every layer is a checkpointed segment of its own, the last included.
/// - `every:K`:    a segment for each K layers: the activation at every K-th layer is kept. The last
///                 segment may be shorter.
/// - `segments:N`: N segments whose lengths differ by at most one, the longer ones first.
/// - `sqrt`:       `segments:round(sqrt(n))`, the number that minimises kept inputs plus the
///                 activations of one segment when each layer saves as much as its input. Layers that
///                 save more have their least peak with more segments (docs/design/placement.md).
/// In every:K, segments:N and sqrt the last segment is not checkpointed: its backward comes first, so
/// dropping its activations would save nothing while the other segments' inputs are all alive. A
/// single segment is the last one: every:K with K >= n, segments:1 and sqrt of n <= 2 recompute
/// nothing.
///
/// Source:  Chen et al. 2016, arXiv:1604.06174, section 3 (equal segments).
/// Example: Placement::parse("every:2").segments(5) is {[0,2) yes, [2,4) yes, [4,5) no}
class Placement {
 public:
  enum class Rule { kNone, kFull, kEvery, kSegments, kSqrt };

  static Placement none() { return {Rule::kNone, 0}; }
  static Placement full() { return {Rule::kFull, 0}; }
  /// Errors: InvalidArgument unless `layers` >= 1.
  static Placement every(std::int64_t layers);
  /// Errors: InvalidArgument unless `count` >= 1.
  static Placement segments_of(std::int64_t count);
  static Placement sqrt() { return {Rule::kSqrt, 0}; }

  /// Reads `none`, `full`, `every:K`, `segments:N` or `sqrt`, with K and N decimal and at least 1.
  /// Errors: InvalidArgument, naming `text` and the accepted forms, for anything else.
  static Placement parse(std::string_view text);

  /// What `parse` accepts, for messages and help: "none, full, every:K, segments:N or sqrt".
  static std::string forms();

  Rule rule() const { return rule_; }

  /// The text that `parse` reads back.
  std::string to_string() const;

  /// The segments for `layers` layers: in order, not empty, covering [0, layers) exactly.
  /// Errors: InvalidArgument if `layers` < 1, or if there are fewer layers than `segments:N` asks for.
  std::vector<Segment> segments(std::int64_t layers) const;

  friend bool operator==(const Placement& a, const Placement& b) {
    return a.rule_ == b.rule_ && a.parameter_ == b.parameter_;
  }

 private:
  Placement(Rule rule, std::int64_t parameter) : rule_(rule), parameter_(parameter) {}

  Rule rule_;
  std::int64_t parameter_;  // K of every:K, N of segments:N, otherwise 0
};

}  // namespace remat
