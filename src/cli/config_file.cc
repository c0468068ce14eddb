#include "cli/config_file.h"

#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <remat/error.h>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/text.h"

namespace remat::cli {
namespace {

constexpr const char* kConfig = "--config";
constexpr const char* kPreset = "--preset";

std::string preset_list() {
  std::string list;
  for (const auto& preset : kPresets) {
    list += fmt::format("{}{} ({} x {}, {} heads, seq {})", list.empty() ? "" : ", ", preset.name,
                        preset.layers, preset.dim, preset.heads, preset.seq);
  }
  return list;
}

const Preset* preset_named(const std::string& name) {
  for (const auto& preset : kPresets) {
    if (name == preset.name) return &preset;
  }
  return nullptr;
}

// What the command line or an earlier source says stands.
void set_unless_given(CLI::Option& option, const std::vector<std::string>& values) {
  if (option.count() > 0) return;
  option.add_result(values);
  option.run_callback();
}

class ConfigFile {
 public:
  ConfigFile(CLI::App& program, CLI::App& verb, const std::string& path)
      : program_(program), verb_(verb), path_(path) {}

  void apply() {
    std::istringstream text(read_file(kConfig, path_));
    for (const auto& item : CLI::ConfigTOML().from_config(text)) {
      if (item.name == "++" || item.name == "--") continue;  // a section begins or ends
      auto& option = option_of(item);
      REMAT_CHECK(seen_.insert(item.fullname()).second, InvalidArgument,
                  "--config {}: {} is given twice; give it once", printable(path_),
                  printable(item.fullname()));
      if (verb_of(item) == &verb_) set(option, item);
    }
  }

 private:
  // Of no section: the verb that runs.
  CLI::App* verb_of(const CLI::ConfigItem& item) const {
    if (item.parents.empty()) return &verb_;
    if (item.parents.size() > 1) return nullptr;
    for (auto* verb : program_.get_subcommands([](const CLI::App*) { return true; })) {
      if (verb->get_name() == item.parents.front()) return verb;
    }
    return nullptr;
  }

  CLI::Option& option_of(const CLI::ConfigItem& item) const {
    auto* verb = verb_of(item);
    REMAT_CHECK(verb != nullptr, InvalidArgument,
                "--config {}: [{}] is no section of it; give [train] or [verify], or none",
                printable(path_), printable(CLI::detail::join(item.parents, ".")));
    auto* option = verb->get_option_no_throw("--" + item.name);
    const bool known = option != nullptr && !option->get_group().empty() && item.name != "config" &&
                       item.name != "help";
    REMAT_CHECK(known, InvalidArgument,
                "--config {}: remat {} has no key {}; the keys are its flags without dashes, see remat "
                "{} --help",
                printable(path_), verb->get_name(), quote(item.name), verb->get_name());
    return *option;
  }

  void set(CLI::Option& option, const CLI::ConfigItem& item) const {
    for (const auto& value : item.inputs) {
      REMAT_CHECK(value.empty() || (value.front() != '"' && value.front() != '\''), InvalidArgument,
                  "--config {}: {} has a quote without its end; a # starts a comment inside quotes "
                  "too: rename what has one",
                  printable(path_), item.name);
    }
    const bool flag = option.get_expected_min() == 0;
    if (flag && item.inputs == std::vector<std::string>{"false"}) return;
    REMAT_CHECK(!flag || item.inputs == std::vector<std::string>{"true"}, InvalidArgument,
                "--config {}: {} must be true or false, not {}", printable(path_), item.name,
                quote(CLI::detail::join(item.inputs, ",")));
    try {
      set_unless_given(option, item.inputs);
    } catch (const CLI::ParseError& error) {
      fail<InvalidArgument>("--config {}: {}", printable(path_), error.what());
    }
  }

  CLI::App& program_;
  CLI::App& verb_;
  const std::string& path_;
  std::set<std::string> seen_;
};

void apply_preset(CLI::App& verb, const Preset& preset) {
  const auto set = [&verb](const char* flag, std::int64_t value) {
    set_unless_given(*verb.get_option(flag), {std::to_string(value)});
  };
  set("--layers", preset.layers);
  set("--dim", preset.dim);
  set("--heads", preset.heads);
  set("--seq", preset.seq);
}

}  // namespace

void add_config_flags(CLI::App& verb) {
  // Constants: CLI11 takes other strings for what the flag is to set.
  const std::string config_help =
      "Flags that the command line does not give: lines such as layers = 6 (TOML or INI)";
  verb.add_option(kConfig, config_help)->type_name("FILE");
  const auto known = [](const std::string& name) {
    return preset_named(name) != nullptr
               ? std::string()
               : fmt::format("there is no {}; there are {}", quote(name), preset_list());
  };
  const auto preset_help =
      "Sizes of the model, where nothing else gives them (layers x dim): " + preset_list();
  verb.add_option(kPreset, preset_help)
      ->check(CLI::Validator(known, ""))
      ->type_name("NAME")
      ->group("Model");
}

void apply_config(CLI::App& program, CLI::App& verb) {
  const auto* config = verb.get_option_no_throw(kConfig);
  if (config != nullptr && config->count() > 0) {
    const auto path = config->as<std::string>();
    ConfigFile(program, verb, path).apply();
  }
  const auto* preset = verb.get_option_no_throw(kPreset);
  if (preset != nullptr && preset->count() > 0) {
    apply_preset(verb, *preset_named(preset->as<std::string>()));
  }
}

}  // namespace remat::cli
