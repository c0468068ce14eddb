// A text file as training data: its bytes are the tokens.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace remat::models {

/// What a model reads and what it should predict: `targets` is `inputs` one byte later.
struct Batch {
  at::Tensor inputs;   ///< (B, T) int64 in [0, 256)
  at::Tensor targets;  ///< (B, T) int64 in [0, 256)
};

/// The bytes of a file, handed out as random batches of T bytes.
///
/// The batches depend on the seed alone: they neither read nor move LibTorch's generators.
class ByteText {
 public:
  /// Reads all of `path`, a regular file or a pipe.
  /// Errors: InvalidArgument that names `--text`, the path and what to do, if it cannot be read, is
  ///         a directory or a device, or has fewer than `seq` + 1 bytes.
  static ByteText read(const std::string& path, std::int64_t seq, std::uint64_t seed);

  /// `batch` windows of `seq` bytes at uniformly random places.
  Batch next_batch(std::int64_t batch);

  /// Keeps the last `fraction` of the text out of next_batch(), for validation_batch(). 0: nothing.
  /// Errors: InvalidArgument that names `--val-fraction` if either part has fewer than `seq` + 1 bytes.
  void hold_out(double fraction);

  /// `batch` windows of what is held out: batch `index` of `count`, which lie evenly spread over it.
  Batch validation_batch(std::int64_t batch, std::int64_t index, std::int64_t count) const;

  /// The largest `seq` with which the text, and each part of it if some is held out, has a window.
  std::int64_t longest_window() const;

  std::int64_t size() const { return static_cast<std::int64_t>(bytes_.size()); }

  /// CRC-32 of the text.
  std::uint32_t checksum() const;

  /// Where the random places stand, as text. seek() continues from there; it returns false and changes
  /// nothing if `position` is not one.
  std::string position() const;
  bool seek(const std::string& position);

 private:
  Batch windows(const std::vector<std::int64_t>& starts) const;

  ByteText(std::string bytes, std::int64_t seq, std::uint64_t seed)
      : bytes_(std::move(bytes)), seq_(seq), generator_(seed) {}

  std::string bytes_;
  std::int64_t seq_;
  std::mt19937_64 generator_;
  std::int64_t held_out_ = 0;
};

}  // namespace remat::models
