#include "models/byte_text.h"

#include <array>
#include <cerrno>
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

Batch ByteText::next_batch(std::int64_t batch) {
  Batch drawn{at::empty({batch, seq_}, at::kLong), at::empty({batch, seq_}, at::kLong)};
  auto* input = drawn.inputs.data_ptr<std::int64_t>();
  auto* target = drawn.targets.data_ptr<std::int64_t>();
  std::uniform_int_distribution<std::int64_t> start(0, size() - seq_ - 1);
  for (std::int64_t row = 0; row < batch; ++row) {
    auto at = static_cast<std::size_t>(start(generator_));
    for (std::int64_t i = 0; i < seq_; ++i, ++at) {
      *input++ = static_cast<unsigned char>(bytes_[at]);
      *target++ = static_cast<unsigned char>(bytes_[at + 1]);
    }
  }
  return drawn;
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
