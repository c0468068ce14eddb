#include "cli/step_options.h"

#include <remat/error.h>

#include "base/check.h"
#include "cli/numbers.h"

namespace remat::cli {
namespace {

constexpr std::int64_t kMaxAccumulate = 1 << 16;
constexpr std::int64_t kMaxSteps = 1'000'000'000;

}  // namespace

void add_step_flags(CLI::App& verb, StepOptions& options) {
  const auto add = [&verb](const char* flag, auto& value, const char* help) {
    return verb.add_option(flag, value, help)->group("Step");
  };
  add("--accumulate", options.accumulate,
      "Micro-batches of --batch sequences whose gradients make one step")
      ->capture_default_str()
      ->transform(whole_number(1, kMaxAccumulate))
      ->type_name("N");
  add("--clip", options.clip, "Largest norm of all gradients together; 0: do not clip")
      ->capture_default_str()
      ->check(number_from_zero())
      ->type_name("NORM");
  add("--weight-decay", options.weight_decay, "AdamW's, of matrices; biases and norms have none")
      ->capture_default_str()
      ->check(number_from_zero())
      ->type_name("RATE");
  add("--warmup", options.warmup, "Steps in which the rate rises to --lr")
      ->capture_default_str()
      ->transform(whole_number(0, kMaxSteps))
      ->type_name("N");
  add("--min-lr", options.min_lr,
      "Where a cosine takes the rate; without it the rate stays at --lr")
      ->check(number_from_zero())
      ->type_name("RATE");
  add("--decay-steps", options.decay_steps,
      "The step at which --min-lr is reached; --steps unless given")
      ->transform(whole_number(1, kMaxSteps))
      ->type_name("N");
  add("--val-fraction", options.val_fraction,
      "Part of the text, its end, that is not trained on but validated with")
      ->capture_default_str()
      ->check(number_from_zero())
      ->type_name("P");
}

LearningRate learning_rate(const StepOptions& options, double lr, std::int64_t steps) {
  const LearningRate rate{lr, options.min_lr.value_or(lr), options.warmup,
                          options.decay_steps > 0 ? options.decay_steps : steps};
  REMAT_CHECK(rate.lowest <= rate.peak, InvalidArgument,
              "--min-lr {}: is above --lr {}, from where the rate decays; give a lower --min-lr",
              rate.lowest, rate.peak);
  REMAT_CHECK(!options.min_lr || rate.warmup <= rate.decay_steps, InvalidArgument,
              "--warmup {}: ends after step {}, at which --min-lr is to be reached; lower --warmup "
              "or raise --decay-steps",
              rate.warmup, rate.decay_steps);
  REMAT_CHECK(options.min_lr || options.decay_steps == 0, InvalidArgument,
              "--decay-steps {} needs --min-lr: say which rate is to be reached",
              options.decay_steps);
  return rate;
}

}  // namespace remat::cli
