// Flags from elsewhere than the command line: --config and --preset.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include <CLI/CLI.hpp>

namespace remat::cli {

/// The sizes of a model by a name.
struct Preset {
  const char* name;
  std::int64_t layers, dim, heads, seq;
};

/// From one that trains in seconds up to the sizes of GPT-2 (Radford et al. 2019, table 2).
inline constexpr std::array<Preset, 6> kPresets = {{{"tiny", 4, 64, 4, 64},
                                                    {"small", 6, 192, 6, 256},
                                                    {"medium", 8, 384, 6, 256},
                                                    {"large", 12, 512, 8, 512},
                                                    {"gpt2", 12, 768, 12, 1024},
                                                    {"gpt2-medium", 24, 1024, 16, 1024}}};

/// Adds --config and --preset to `verb`.
void add_config_flags(CLI::App& verb);

/// Gives the flags of `verb`, which has been parsed, the values of the file that --config names, then
/// those of the preset, each where nothing before gave one: the command line wins, then the file.
///
/// The file has lines `key = value`, the key a flag without its dashes, in TOML or INI as CLI11 reads them.
/// What stands under `[train]` is for that verb alone, what stands before any section for every verb.
/// Errors: InvalidArgument that names the file and the key, if the file cannot be read or a key is no flag
///         of its verb, comes twice or has a value that the flag does not take.
void apply_config(CLI::App& program, CLI::App& verb);

}  // namespace remat::cli
