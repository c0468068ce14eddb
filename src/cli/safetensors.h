// Parameters in the format that Python's safetensors reads and writes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/state_file.h"

namespace remat::cli {

struct Safetensors {
  std::vector<NamedTensor> tensors;
  std::map<std::string, std::string> metadata;  ///< the header's `__metadata__`
};

/// Replaces the file at `path` as a whole or not at all.
/// Errors: Error that names `flag`, the path, the reason and what to do.
/// Source: https://github.com/huggingface/safetensors, "Format": the header's length in 8 little-endian
///         bytes, the header, JSON padded with spaces to 8 bytes, then the elements without gaps.
void write_safetensors(const std::string& flag, const std::string& path,
                       const Safetensors& content);

/// Tensors on the CPU, in the order of the header.
/// Errors: InvalidArgument if the file cannot be read; Error if it is none: a header that is longer than
///         the file or no JSON, an unknown type, a shape that does not match its bytes, bytes that
///         overlap, leave a gap or lie outside. Both name `flag`, the path and what is wrong.
Safetensors read_safetensors(const std::string& flag, const std::string& path);

/// True if the file at `path` starts as a safetensors file does.
bool looks_like_safetensors(const std::string& path);

/// What is at `path` is kept if it is no such file.
/// Errors: InvalidArgument, or Error if nothing can be written there.
void check_safetensors_path(const std::string& flag, const std::string& path);

}  // namespace remat::cli
