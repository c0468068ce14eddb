// The zoo's recurrent networks: many small operators, and gates that are slices of one storage.
#include <string>
#include <tuple>

#include "models/lstm_language_model.h"
#include "tests/tape/zoo_making.h"

namespace remat::testing {
namespace {

namespace nn = torch::nn;

constexpr std::int64_t kVocabulary = 61;

ZooModel language_model(const std::string& name, std::int64_t tokens, double dropout) {
  return zoo_model(name, [=] {
    models::LstmLanguageModel model(
        models::LstmConfig{kVocabulary, /*dim=*/16, /*layers=*/2, dropout});
    const auto text = below(kVocabulary, {4, tokens + 1});
    return parts_of(model, [=](int step) mutable {
      const auto logits = model->forward(text(step).slice(1, 0, tokens));
      return nn::functional::cross_entropy(logits.flatten(0, 1), text(step).slice(1, 1).flatten());
    });
  });
}

ZooModel bidirectional() {
  return zoo_model("LstmBidirectionalNoBias", [] {
    nn::LSTM model(nn::LSTMOptions(16, 24).num_layers(2).bidirectional(true).bias(false));
    const auto x = normal({20, 4, 16});
    return parts_of(model, [=](int step) mutable { return loss_of(std::get<0>(model(x(step)))); });
  });
}

ZooModel packed() {
  return zoo_model("LstmPackedSequence", [] {
    nn::LSTM model(nn::LSTMOptions(16, 24));
    const auto x = normal({20, 4, 16});
    return parts_of(model, [=](int step) mutable {
      const auto sequence =
          nn::utils::rnn::pack_padded_sequence(x(step), torch::tensor({20, 17, 9, 3}));
      return loss_of(std::get<0>(model->forward_with_packed_input(sequence)).data());
    });
  });
}

// The state of a step is the next one's start, cut off from its graph.
ZooModel truncated() {
  return zoo_model("LstmStateCarriedOver", [] {
    nn::LSTM model(nn::LSTMOptions(16, 24));
    const auto x = normal({10, 4, 16});
    const auto h = torch::zeros({1, 4, 24}), c = torch::zeros({1, 4, 24});
    auto parts = parts_of(model, [=](int step) mutable {
      const auto [y, state] = model->forward(x(step), std::make_tuple(h.clone(), c.clone()));
      h.copy_(std::get<0>(state).detach());
      c.copy_(std::get<1>(state).detach());
      return loss_of(y);
    });
    parts.buffers = {h, c};
    return parts;
  });
}

ZooModel gru() {
  return zoo_model("GruWithDropout", [] {
    nn::GRU model(nn::GRUOptions(16, 24).num_layers(2).dropout(0.2));
    const auto x = normal({20, 4, 16});
    return parts_of(model, [=](int step) mutable { return loss_of(std::get<0>(model(x(step)))); });
  });
}

// Written by hand, as people do: a cell in a loop, its gates by chunk.
ZooModel cells() {
  return zoo_model("LstmCellsByHand", [] {
    const auto w = weight({16, 64}), u = weight({16, 64}), b = weight({64});
    const auto x = normal({12, 4, 16});
    return ZooParts{{w, u, b}, [=](int step) {
                      auto h = torch::zeros({4, 16}), c = torch::zeros({4, 16});
                      std::vector<at::Tensor> out;
                      for (const auto& input : x(step).unbind(0)) {
                        const auto gates = (input.mm(w) + h.mm(u) + b).chunk(4, 1);
                        c = gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].tanh();
                        h = gates[3].sigmoid() * c.tanh();
                        out.push_back(h);
                      }
                      return loss_of(torch::stack(out));
                    }};
  });
}

}  // namespace

std::vector<ZooModel> zoo_recurrent() {
  return {language_model("LstmWithDropout", 24, 0.2),
          language_model("Lstm200Steps", 200, 0.0),
          bidirectional(),
          packed(),
          truncated(),
          gru(),
          cells()};
}

}  // namespace remat::testing
