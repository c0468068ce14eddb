#include "cli/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ATen/ops/empty.h>

#include <remat/error.h>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/little_endian.h"
#include "cli/tensor_dtype.h"

namespace remat::cli {
namespace {

constexpr std::size_t kLength = 8;  // bytes of the header's length, and what it is padded to
constexpr std::size_t kMaxHeader = 100'000'000;  // of the format
constexpr const char* kMetadata = "__metadata__";

// One file being read: what is wrong with it is said in one form.
class Reader {
 public:
  Reader(const std::string& flag, const std::string& path)
      : flag_(flag), path_(path), bytes_(read_file(flag, path)) {}

  Safetensors read() {
    split();
    Safetensors content;
    try {
      const JsonDocument document(header_, "the header");
      const auto* members = std::get_if<JsonValue::Object>(&document.root().content);
      if (members == nullptr) refuse("its header is no JSON object");
      for (const auto& member : *members) {
        if (member.key == kMetadata) {
          content.metadata = metadata_of(member.value);
        } else {
          content.tensors.push_back({member.key, tensor_of(member)});
        }
      }
    } catch (const InvalidArgument& error) {
      refuse(error.what());
    }
    check_tiling();
    return content;
  }

 private:
  struct Span {
    std::int64_t begin, end;
    std::string name;
  };

  [[noreturn]] void refuse(const std::string& reason) const {
    fail<Error>("{} {}: is not a safetensors file as this program reads them: {}; name another one",
                flag_, printable(path_), printable(reason));
  }

  void split() {
    if (bytes_.size() < kLength) {
      refuse(fmt::format("it has {} bytes, the length of its header alone takes {}", bytes_.size(),
                         kLength));
    }
    const auto length = number_at<std::uint64_t>(bytes_, 0);
    const auto rest = std::string_view(bytes_).substr(kLength);
    if (length > rest.size() || length > kMaxHeader) {
      refuse(fmt::format("it says that its header has {} bytes, {} follow (and {} are allowed)",
                         length, rest.size(), kMaxHeader));
    }
    header_ = rest.substr(0, length);
    data_ = rest.substr(length);
    if (header_.empty() || header_.front() != '{') refuse("its header does not start with {");
  }

  const JsonValue& member(const JsonMember& entry, const char* key) const {
    if (const auto* object = std::get_if<JsonValue::Object>(&entry.value.content)) {
      for (const auto& item : *object) {
        if (item.key == key) return item.value;
      }
    }
    refuse(fmt::format("{} has no {}", quote(entry.key), key));
  }

  std::vector<std::int64_t> numbers(const JsonMember& entry, const char* key) const {
    const auto* array = std::get_if<JsonValue::Array>(&member(entry, key).content);
    std::vector<std::int64_t> values;
    for (const auto& item : array == nullptr ? JsonValue::Array() : *array) {
      if (const auto* value = std::get_if<std::int64_t>(&item.content)) values.push_back(*value);
    }
    if (array == nullptr || values.size() != array->size()) {
      refuse(fmt::format("{} of {} are not whole numbers in a list", key, quote(entry.key)));
    }
    return values;
  }

  c10::ScalarType type_of(const JsonMember& entry) const {
    const auto* name = std::get_if<std::string>(&member(entry, "dtype").content);
    const auto type = name == nullptr ? std::nullopt : dtype_named(*name);
    if (!type) {
      refuse(fmt::format("{} has dtype {}, known are F32, F64, F16, BF16 and U8", quote(entry.key),
                         name == nullptr ? "of another kind than text" : quote(*name)));
    }
    return *type;
  }

  // Without an overflow, whatever the shape says.
  static std::optional<std::int64_t> bytes_of(const std::vector<std::int64_t>& shape,
                                              std::int64_t element) {
    if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
    std::int64_t bytes = element;
    for (const auto size : shape) {
      if (bytes > std::numeric_limits<std::int64_t>::max() / size) return std::nullopt;
      bytes *= size;
    }
    return bytes;
  }

  at::Tensor tensor_of(const JsonMember& entry) {
    const auto type = type_of(entry);
    const auto shape = numbers(entry, "shape");
    const auto offsets = numbers(entry, "data_offsets");
    const auto size = static_cast<std::int64_t>(data_.size());
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > size) {
      refuse(fmt::format("the bytes [{}] of {} do not lie in the {} that follow the header",
                         fmt::join(offsets, ", "), quote(entry.key), size));
    }
    const auto bytes = bytes_of(shape, static_cast<std::int64_t>(c10::elementSize(type)));
    if (bytes != offsets[1] - offsets[0]) {
      refuse(fmt::format("{} has {} bytes, which is not its shape ({}) in {}", quote(entry.key),
                         offsets[1] - offsets[0], fmt::join(shape, ", "), dtype_name(type)));
    }
    spans_.push_back({offsets[0], offsets[1], entry.key});
    auto tensor = at::empty(shape, at::TensorOptions(type));
    if (*bytes > 0) {
      std::memcpy(tensor.data_ptr(), data_.data() + offsets[0], static_cast<std::size_t>(*bytes));
    }
    return tensor;
  }

  // As the format has it, so that no byte has two meanings or none.
  void check_tiling() {
    std::sort(spans_.begin(), spans_.end(), [](const Span& a, const Span& b) {
      return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
    });
    std::int64_t end = 0;
    for (const auto& span : spans_) {
      if (span.begin < end) refuse(fmt::format("{} overlaps another tensor", quote(span.name)));
      if (span.begin > end) {
        refuse(fmt::format("bytes {} to {} belong to no tensor", end, span.begin));
      }
      end = span.end;
    }
    if (end != static_cast<std::int64_t>(data_.size())) {
      refuse(fmt::format("bytes {} to {} belong to no tensor", end, data_.size()));
    }
  }

  std::map<std::string, std::string> metadata_of(const JsonValue& value) const {
    const auto* members = std::get_if<JsonValue::Object>(&value.content);
    if (members == nullptr) refuse("its __metadata__ is no JSON object");
    std::map<std::string, std::string> metadata;
    for (const auto& [key, text] : *members) {
      const auto* string = std::get_if<std::string>(&text.content);
      if (string == nullptr) refuse(fmt::format("{} of its __metadata__ is no text", quote(key)));
      metadata[key] = *string;
    }
    return metadata;
  }

  const std::string& flag_;
  const std::string& path_;
  std::string bytes_;
  std::string_view header_;
  std::string_view data_;
  std::vector<Span> spans_;
};

std::string header_of(const Safetensors& content) {
  nlohmann::ordered_json header;
  header[kMetadata] = content.metadata;
  std::size_t begin = 0;
  for (const auto& [name, tensor] : content.tensors) {
    const auto end = begin + tensor.nbytes();
    header[name] = {{"dtype", dtype_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {begin, end}}};
    begin = end;
  }
  auto text = header.dump();
  text.resize((text.size() + kLength - 1) / kLength * kLength, ' ');
  return text;
}

}  // namespace

void write_safetensors(const std::string& flag, const std::string& path,
                       const Safetensors& content) {
  const auto header = header_of(content);
  AtomicFile file(flag, path);
  file.write(little_endian(std::uint64_t{header.size()}));
  file.write(header);
  for (const auto& named : content.tensors) {
    const auto tensor = named.tensor.detach().cpu().contiguous();
    file.write(tensor.data_ptr(), tensor.nbytes());
  }
  file.commit();
}

Safetensors read_safetensors(const std::string& flag, const std::string& path) {
  return Reader(flag, path).read();
}

bool looks_like_safetensors(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, kLength + 1> start{};
  return file.read(start.data(), start.size()) && start.back() == '{' &&
         number_at<std::uint64_t>({start.data(), start.size()}, 0) <= kMaxHeader;
}

void check_safetensors_path(const std::string& flag, const std::string& path) {
  std::ifstream present(path, std::ios::binary);
  const bool empty = !present || present.peek() == std::ifstream::traits_type::eof();
  REMAT_CHECK(empty || looks_like_safetensors(path), InvalidArgument,
              "{} {}: would replace a file that is no safetensors file; name another file, or remove "
              "this one",
              flag, printable(path));
  const AtomicFile probe(flag, path);
}

}  // namespace remat::cli
