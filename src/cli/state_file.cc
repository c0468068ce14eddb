#include "cli/state_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>
#include <zlib.h>

#include <fmt/format.h>

#include <ATen/ops/empty.h>

#include <remat/error.h>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/text.h"
#include "cli/little_endian.h"
#include "cli/tensor_dtype.h"

namespace remat::cli {
namespace {

using nlohmann::json;

// As PNG's: a byte that is no ASCII, then line ends that a transfer as text would change.
constexpr std::string_view kMagic = "\x89RMT\r\n\x1a\n";
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kPrefix = 32;   // magic, version, zero, file size, header size
constexpr std::size_t kChecksum = 4;  // CRC-32 of all before it
constexpr const char* kAdvice = "name a file that `remat train --save` wrote, or train anew";

std::uint32_t crc32_of(std::string_view bytes, std::uint32_t start = 0) {
  if (bytes.empty()) return start;  // zlib starts anew at a null pointer, which empty tensors have
  return static_cast<std::uint32_t>(
      crc32_z(start, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// An AtomicFile that ends with the checksum of all that was written.
class ChecksummedFile {
 public:
  explicit ChecksummedFile(const std::string& path) : file_("--save", path) {}

  void write(std::string_view bytes) {
    file_.write(bytes);
    crc_ = crc32_of(bytes, crc_);
  }

  void commit() {
    file_.write(little_endian(crc_));
    file_.commit();
  }

 private:
  AtomicFile file_;
  std::uint32_t crc_ = 0;
};

json entry_of(const NamedTensor& named, std::size_t begin) {
  return {{"name", named.name},
          {"dtype", dtype_name(named.tensor.scalar_type())},
          {"shape", named.tensor.sizes().vec()},
          {"data_offsets", {begin, begin + named.tensor.nbytes()}}};
}

// Where a file comes from: the flag that names it, and its path.
struct Source {
  const std::string& flag;
  const std::string& path;
};

[[noreturn]] void refuse(const Source& source, const std::string& reason) {
  fail<Error>("{} {}: {}; {}", source.flag, printable(source.path), reason, kAdvice);
}

// Returns header and data, checked against the checksum.
std::pair<std::string_view, std::string_view> checked_parts(const Source& source,
                                                            std::string_view bytes) {
  const auto seen = std::min(bytes.size(), kMagic.size());
  if (bytes.empty()) refuse(source, "is empty");
  if (bytes.substr(0, seen) != kMagic.substr(0, seen)) {
    refuse(source, "is not a training state of remat");
  }
  if (bytes.size() < kPrefix + kChecksum) {
    refuse(source, fmt::format("is truncated: it has {} bytes, no state has fewer than {}",
                               bytes.size(), kPrefix + kChecksum));
  }
  const auto version = number_at<std::uint32_t>(bytes, 8);
  if (version != kVersion) {
    refuse(source,
           fmt::format("is of version {}, this program reads version {}", version, kVersion));
  }
  const auto size = number_at<std::uint64_t>(bytes, 16);
  if (size != bytes.size()) {
    refuse(source, fmt::format("is {}: it has {} bytes and says that it has {}",
                               size > bytes.size() ? "truncated" : "damaged", bytes.size(), size));
  }
  const auto body = bytes.substr(0, bytes.size() - kChecksum);
  const auto header = number_at<std::uint64_t>(bytes, 24);
  if (crc32_of(body) != number_at<std::uint32_t>(bytes, body.size()) ||
      header > body.size() - kPrefix) {
    refuse(source, "is damaged: its checksum does not hold");
  }
  return {body.substr(kPrefix, header), body.substr(kPrefix + header)};
}

at::Tensor tensor_of(const json& entry, std::string_view data) {
  const auto shape = entry.at("shape").get<std::vector<std::int64_t>>();
  const auto begin = entry.at("data_offsets").at(0).get<std::size_t>();
  const auto end = entry.at("data_offsets").at(1).get<std::size_t>();
  const auto dtype = dtype_named(entry.at("dtype").get<std::string>());
  REMAT_CHECK(dtype && begin <= end && end <= data.size(), Error, "a tensor lies outside the file");
  auto tensor = at::empty(shape, at::TensorOptions(*dtype));
  REMAT_CHECK(tensor.nbytes() == end - begin, Error, "a tensor has another size than its shape");
  std::memcpy(tensor.data_ptr(), data.data() + begin, end - begin);
  return tensor;
}

}  // namespace

const at::Tensor* StateFile::find(const std::string& name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&name](const auto& named) { return named.name == name; });
  return found == tensors.end() ? nullptr : &found->tensor;
}

void write_state_file(const std::string& path, const json& state,
                      const std::vector<NamedTensor>& tensors) {
  json entries = json::array();
  std::size_t data = 0;
  for (const auto& named : tensors) {
    entries.push_back(entry_of(named, data));
    data += named.tensor.nbytes();
  }
  const auto header = json{{"state", state}, {"tensors", entries}}.dump();
  ChecksummedFile file(path);
  file.write(kMagic);
  file.write(little_endian(kVersion));
  file.write(little_endian(std::uint32_t{0}));
  file.write(little_endian(std::uint64_t{kPrefix + header.size() + data + kChecksum}));
  file.write(little_endian(std::uint64_t{header.size()}));
  file.write(header);
  for (const auto& named : tensors) {
    const auto tensor = named.tensor.detach().cpu().contiguous();
    file.write({static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()});
  }
  file.commit();
}

StateFile read_state_file(const std::string& path, const std::string& flag) {
  const Source source{flag, path};
  const auto bytes = read_file(flag, path);
  const auto [header, data] = checked_parts(source, bytes);
  StateFile file;
  try {
    const auto parsed = json::parse(header);
    file.state = parsed.at("state");
    for (const auto& entry : parsed.at("tensors")) {
      file.tensors.push_back({entry.at("name").get<std::string>(), tensor_of(entry, data)});
    }
  } catch (const json::exception& error) {
    refuse(source, fmt::format("has a header that cannot be understood ({})", error.what()));
  } catch (const Error& error) {
    refuse(source, error.what());
  }
  return file;
}

void check_save_path(const std::string& path) {
  std::ifstream present(path, std::ios::binary);
  std::array<char, kMagic.size()> start{};
  present.read(start.data(), start.size());
  const std::string_view found(start.data(), static_cast<std::size_t>(present.gcount()));
  REMAT_CHECK(found.empty() || found == kMagic, InvalidArgument,
              "--save {}: would replace a file that is not a training state of remat; name another "
              "file, or remove this one",
              printable(path));
  const AtomicFile probe("--save", path);
}

}  // namespace remat::cli
