#include "cli/program.h"

#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <c10/util/Exception.h>

#include <remat/error.h>
#include <remat/version.h>

#include "base/text.h"
#include "cli/config_file.h"
#include "cli/plan.h"
#include "cli/profile.h"
#include "cli/sample.h"
#include "cli/train.h"
#include "cli/verify.h"

namespace remat::cli {
namespace {

constexpr const char* kOutOfMemoryHint =
    "out of memory; try a smaller --batch or --seq, a --policy that keeps less, or --memory with what there is";

class Program {
 public:
  Program()
      : train_(add_train(app_, train_options_)),
        verify_(add_verify(app_, verify_options_)),
        profile_(add_profile(app_, profile_options_)),
        plan_(add_plan(app_, plan_options_)),
        sample_(add_sample(app_, sample_options_)) {
    app_.set_version_flag("--version", "remat " REMAT_VERSION_STRING);
    app_.require_subcommand(0, 1);  // checked by parse(): CLI11 would not name an unknown verb
    app_.footer(
        "Exit status: 0 done, 1 failed, 2 usage, 3 no plan fits the budget.\n`remat VERB --help` lists the flags of a verb.");
  }

  void parse(int argc, const char* const* argv, const char* executable) {
    if (executable != nullptr) {
      verify_options_.command = {executable};
      verify_options_.command.insert(verify_options_.command.end(), argv + 1, argv + argc);
    }
    app_.parse(argc, argv);
    if (app_.get_subcommands().empty()) {
      throw CLI::RequiredError("A verb, train, verify, profile, plan or sample,");
    }
    apply_config(app_, *app_.get_subcommands().front());
  }

  ExitStatus run_verb() {
    const auto status = parsed_verb();
    std::cout.flush();
    if (!std::cout) throw Error("stdout cannot be written to: the result is lost");
    return status;
  }

  // --help and --version arrive here as well.
  ExitStatus end_of_parsing(const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app_.exit(error);
      return kDone;
    }
    return usage_error(fmt::format("{}; see {} --help", message_of(error), name()));
  }

  ExitStatus usage_error(std::string_view message) {
    std::cerr << fmt::format("{}: {}\n", name(), printable(message));
    return kUsage;
  }

  ExitStatus failure(std::string_view message) {
    std::cerr << fmt::format("{}: {}\n", name(), message);
    return kFailed;
  }

 private:
  ExitStatus parsed_verb() const {
    if (train_->parsed()) return train(train_options_);
    if (verify_->parsed()) return verify(verify_options_);
    if (profile_->parsed()) return profile(profile_options_);
    return plan_->parsed() ? plan(plan_options_) : sample(sample_options_);
  }

  // CLI11 would list everything that is left over, last first.
  std::string message_of(const CLI::ParseError& error) const {
    const auto left_over = app_.remaining(/*recurse=*/true);
    const bool unexpected = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    return unexpected && !left_over.empty()
               ? fmt::format("{} is not something that {} knows", quote(left_over.front()), name())
               : error.what();
  }

  std::string name() const {
    const auto verbs = app_.get_subcommands();
    return verbs.empty() ? "remat" : "remat " + verbs.front()->get_name();
  }

  TrainOptions train_options_;
  VerifyOptions verify_options_;
  ProfileOptions profile_options_;
  PlanOptions plan_options_;
  SampleOptions sample_options_;
  CLI::App app_{"Gradient checkpointing for LibTorch: train with less memory, bit-identically",
                "remat"};
  CLI::App* train_;
  CLI::App* verify_;
  CLI::App* profile_;
  CLI::App* plan_;
  CLI::App* sample_;
};

std::string without_backtrace(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.find("can't allocate memory") == std::string::npos
             ? text
             : fmt::format("{} ({})", kOutOfMemoryHint, text);
}

}  // namespace

ExitStatus run_program(int argc, const char* const* argv, const char* executable) {
  Program program;
  try {
    program.parse(argc, argv, executable);
    return program.run_verb();
  } catch (const CLI::ParseError& error) {
    return program.end_of_parsing(error);
  } catch (const InvalidArgument& error) {
    return program.usage_error(error.what());
  } catch (const BudgetError& error) {
    program.failure(error.what());
    return kNoPlanFits;
  } catch (const c10::Error& error) {
    return program.failure(without_backtrace(error));
  } catch (const std::bad_alloc&) {
    return program.failure(kOutOfMemoryHint);
  } catch (const std::exception& error) {
    return program.failure(error.what());
  }
}

}  // namespace remat::cli
