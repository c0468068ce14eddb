#include "models/byte_text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>
#include <zlib.h>

#include <fmt/format.h>

#include <ATen/Functions.h>

#include <remat/error.h>

#include "base/check.h"

namespace remat::models {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& reason) {
  fail<InvalidArgument>("--text {}: {}", path, reason);
}

std::string message_of(int error_number) { return std::generic_category().message(error_number); }

// Opening a directory succeeds and a device such as /dev/zero has no end: both are asked for first.
void check_kind(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::status_known(status) || !std::filesystem::exists(status)) {
    const auto reason = error ? error.message() : message_of(ENOENT);
    refuse(path, fmt::format("cannot be read: {}; name a readable text file", reason));
  }
  if (std::filesystem::is_directory(status)) {
    refuse(path, "is a directory; name a text file in it");
  }
  if (!std::filesystem::is_regular_file(status) && !std::filesystem::is_fifo(status)) {
    refuse(path, "is neither a file nor a pipe; name a text file");
  }
}

std::string read_all(const std::string& path) {
  check_kind(path);
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string bytes;
  std::array<char, 1 << 16> chunk{};
  while (file.read(chunk.data(), chunk.size()) || file.gcount() > 0) {
    bytes.append(chunk.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (!file.is_open() || file.bad()) {
    refuse(path, fmt::format("cannot be read: {}; name a readable text file",
                             message_of(errno == 0 ? EIO : errno)));
  }
  return bytes;
}

}  // namespace

ByteText ByteText::read(const std::string& path, std::int64_t seq, std::uint64_t seed) {
  auto bytes = read_all(path);
  const auto size = static_cast<std::int64_t>(bytes.size());
  if (size == 0) refuse(path, "is empty; name a file with text in it");
  if (size <= seq) {
    refuse(path, fmt::format("has {} bytes, fewer than the {} that --seq {} needs; name a longer "
                             "text or lower --seq",
                             size, seq + 1, seq));
  }
  return {std::move(bytes), seq, seed};
}

Batch ByteText::windows(const std::vector<std::int64_t>& starts) const {
  const auto batch = static_cast<std::int64_t>(starts.size());
  Batch drawn{at::empty({batch, seq_}, at::kLong), at::empty({batch, seq_}, at::kLong)};
  auto* input = drawn.inputs.data_ptr<std::int64_t>();
  auto* target = drawn.targets.data_ptr<std::int64_t>();
  for (const auto start : starts) {
    auto at = static_cast<std::size_t>(start);
    for (std::int64_t i = 0; i < seq_; ++i, ++at) {
      *input++ = static_cast<unsigned char>(bytes_[at]);
      *target++ = static_cast<unsigned char>(bytes_[at + 1]);
    }
  }
  return drawn;
}

Batch ByteText::next_batch(std::int64_t batch) {
  std::uniform_int_distribution<std::int64_t> start(0, size() - held_out_ - seq_ - 1);
  std::vector<std::int64_t> starts(static_cast<std::size_t>(batch));
  for (auto& drawn : starts) drawn = start(generator_);
  return windows(starts);
}

void ByteText::hold_out(double fraction) {
  const double part = std::min(fraction, 1.0) * static_cast<double>(size());
  const auto held_out = static_cast<std::int64_t>(std::llround(part));
  const bool fits = held_out > seq_ && size() - held_out > seq_;
  REMAT_CHECK(fraction == 0 || fits, InvalidArgument,
              "--val-fraction {}: keeps {} of the text's {} bytes for validation; it and the rest "
              "need the {} that --seq {} takes; change --val-fraction or lower --seq",
              fraction, held_out, size(), seq_ + 1, seq_);
  held_out_ = held_out;
}

std::int64_t ByteText::longest_window() const {
  const auto trained_on = size() - held_out_;
  return (held_out_ == 0 ? trained_on : std::min(trained_on, held_out_)) - 1;
}

Batch ByteText::validation_batch(std::int64_t batch, std::int64_t index, std::int64_t count) const {
  const auto first = size() - held_out_;
  const auto places = held_out_ - seq_;  // where a window may start
  std::vector<std::int64_t> starts;
  for (std::int64_t row = index * batch; row < (index + 1) * batch; ++row) {
    const double part = static_cast<double>(row) / static_cast<double>(batch * count);
    starts.push_back(first + static_cast<std::int64_t>(part * static_cast<double>(places)));
  }
  return windows(starts);
}

std::uint32_t ByteText::checksum() const {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes_.data()), bytes_.size()));
}

std::string ByteText::position() const {
  std::ostringstream text;
  text << generator_;
  return text.str();
}

bool ByteText::seek(const std::string& position) {
  std::istringstream text(position);
  std::mt19937_64 generator;
  if (!(text >> generator)) return false;
  generator_ = generator;
  return true;
}

}  // namespace remat::models
