#include "models/sampling.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include <torch/types.h>
#include <torch/utils.h>

#include <remat/error.h>

#include "base/check.h"

namespace remat::models {
namespace {

using Choice = std::pair<double, std::int64_t>;  // logit, byte

// Tokens (1, T): the last bytes of `text`, as many as the decoder takes.
torch::Tensor last_tokens(const std::string& text, std::int64_t seq, torch::Device device) {
  const auto size = static_cast<std::int64_t>(text.size());
  const auto time = std::min(size, seq);
  const auto tokens = torch::empty({1, time}, torch::kLong);
  for (std::int64_t i = 0; i < time; ++i) {
    tokens[0][i] = static_cast<unsigned char>(text[static_cast<std::size_t>(size - time + i)]);
  }
  return tokens.to(device);
}

// The likeliest first; among equals the smaller byte.
std::vector<Choice> choices_of(const torch::Tensor& logits) {
  const auto values = logits.to(torch::kCPU, torch::kDouble).contiguous();
  std::vector<Choice> choices;
  for (std::int64_t byte = 0; byte < values.size(0); ++byte) {
    choices.emplace_back(values.data_ptr<double>()[byte], byte);
    REMAT_CHECK(std::isfinite(choices.back().first), Error,
                "sampling: the model's logits are not finite numbers: its training diverged; sample "
                "from an earlier state");
  }
  std::sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  return choices;
}

// One of `choices`, by softmax(logit / temperature).
std::int64_t draw(const std::vector<Choice>& choices, double temperature,
                  std::mt19937_64& generator) {
  std::vector<double> sums;
  double sum = 0;
  for (const auto& [logit, byte] : choices) {
    sum += std::exp((logit - choices.front().first) / temperature);
    sums.push_back(sum);
  }
  // 53 bits, as double holds them: the standard's distributions differ between libraries.
  const double part = static_cast<double>(generator() >> 11) * 0x1p-53;
  const auto found = std::upper_bound(sums.begin(), sums.end(), part * sum);
  return choices[std::min(static_cast<std::size_t>(found - sums.begin()), choices.size() - 1)]
      .second;
}

}  // namespace

std::string sample(Decoder& decoder, const std::string& prompt, const SamplingOptions& options) {
  const torch::NoGradGuard no_grad;
  decoder.eval();
  const auto device = decoder.parameters().front().device();
  std::mt19937_64 generator(options.seed);
  auto text = prompt.empty() ? std::string("\n") : prompt;
  const auto given = text.size();
  for (std::int64_t i = 0; i < options.tokens; ++i) {
    const auto logits = decoder.forward(last_tokens(text, decoder.config().seq, device));
    auto choices = choices_of(logits[0][-1]);
    if (options.top_k > 0 && static_cast<std::size_t>(options.top_k) < choices.size()) {
      choices.resize(static_cast<std::size_t>(options.top_k));
    }
    if (options.temperature == 0) choices.resize(1);
    text.push_back(static_cast<char>(draw(choices, options.temperature, generator)));
  }
  return text.substr(given);
}

}  // namespace remat::models
