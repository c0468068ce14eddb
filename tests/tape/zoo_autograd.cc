// The zoo's users of autograd itself: functions of their own, several passes, parts without gradients,
// control flow, and writes that no one sees.
#include <any>
#include <cmath>
#include <utility>
#include <vector>

#include <remat/checkpoint.h>
#include <remat/saved_tensor_hooks.h>

#include "tests/tape/zoo_making.h"

namespace remat::testing {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

ZooModel differing(ZooModel model) {
  model.steps_differ = true;
  return model;
}

ZooModel writing(ZooModel model) {
  model.writes_through_pointers = true;
  return model;
}

// ---- custom functions ------------------------------------------------------------------------------

struct SavesItsInput : torch::autograd::Function<SavesItsInput> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, double scale) {
    context->save_for_backward({x});
    context->saved_data["scale"] = scale;
    return (x * scale).sin();
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto x = context->get_saved_variables()[0];
    const auto scale = context->saved_data["scale"].toDouble();
    return {gradients[0] * (x * scale).cos() * scale, at::Tensor()};
  }
};

// Saves a result, and an intermediate value that is neither input nor output.
struct SavesItsOutput : torch::autograd::Function<SavesItsOutput> {
  static variable_list forward(AutogradContext* context, const at::Tensor& x) {
    const auto t = x.tanh(), scale = x.abs().amax(1, true) + 1;
    context->save_for_backward({t, scale});
    return {t, t / scale};
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {(gradients[0] + gradients[1] / saved[1]) * (1 - saved[0].square())};
  }
};

// Fills fresh memory through pointers, as extensions in C++ do.
struct FillsFreshMemory : torch::autograd::Function<FillsFreshMemory> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    const auto from = x.contiguous();
    const auto y = torch::empty_like(from);
    const auto* in = from.data_ptr<float>();
    auto* out = y.data_ptr<float>();
    for (std::int64_t i = 0; i < from.numel(); ++i) out[i] = std::sin(in[i]) * in[i];
    context->save_for_backward({x, y});
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    return {gradients[0] * (x * x.cos() + x.sin() + 0.1 * saved[1])};
  }
};

// The same upon a copy that an operator made.
struct OverwritesACopy : torch::autograd::Function<OverwritesACopy> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    auto y = x.clone();
    auto* out = y.data_ptr<float>();
    for (std::int64_t i = 0; i < y.numel(); ++i) out[i] = out[i] > 0 ? out[i] : 0.1F * out[i];
    context->save_for_backward({y});
    return y;
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto y = context->get_saved_variables()[0];
    return {gradients[0] * (y > 0).to(at::kFloat) * 0.9 + 0.1 * gradients[0] * y.cos()};
  }
};

std::vector<ZooModel> functions() {
  return {
      operator_mix("FunctionSavingItsInput",
                   [](const at::Tensor& x, const at::Tensor& w) {
                     const auto h = SavesItsInput::apply(x.mm(w).tanh(), 1.5);
                     return loss_of(SavesItsInput::apply(h.mm(w), 0.7).mm(w));
                   }),
      operator_mix("FunctionSavingItsOutput",
                   [](const at::Tensor& x, const at::Tensor& w) {
                     const auto y = SavesItsOutput::apply(x.mm(w).sigmoid());
                     return loss_of(y[0].mm(w)) + loss_of(y[1].exp());
                   }),
      operator_mix("FunctionFillingFreshMemory",
                   [](const at::Tensor& x, const at::Tensor& w) {
                     const auto h = FillsFreshMemory::apply(x.mm(w).tanh());
                     return loss_of(h.mm(w).tanh().mm(w));
                   }),
      writing(operator_mix("FunctionOverwritingACopy",
                           [](const at::Tensor& x, const at::Tensor& w) {
                             const auto h = OverwritesACopy::apply(x.mm(w).tanh());
                             return loss_of(h.mm(w).tanh().mm(w));
                           })),
      writing(operator_mix("AccessorWrite",
                           [](const at::Tensor& x, const at::Tensor& w) {
                             const auto h = x.mm(w).tanh();
                             const auto mask = torch::ones_like(h);
                             auto cells = mask.accessor<float, 2>();
                             for (int i = 0; i < 8; ++i) cells[i][i] = 0;
                             return loss_of((h * mask).mm(w).tanh());
                           })),
      writing(operator_mix("PointerWriteIntoAValue", [](const at::Tensor& x, const at::Tensor& w) {
        const auto h = x.mm(w).tanh();
        const auto scale = h.detach().abs();
        scale.data_ptr<float>()[3] = 7;
        return loss_of((h * scale).mm(w).tanh());
      }))};
}

// ---- hooks -----------------------------------------------------------------------------------------

// They hold an intermediate result themselves, and read another one in backward.
ZooModel tensor_hooks() {
  return operator_mix("TensorHooks", [](const at::Tensor& x, const at::Tensor& w) {
    const auto h = x.mm(w).tanh(), y = h.mm(w).sigmoid();
    y.retain_grad();
    h.register_hook([scale = y.detach()](const at::Tensor& gradient) { return gradient * scale; });
    return loss_of(y.mm(w)) + loss_of(h.exp());
  });
}

// Around a part of the model, packing into something smaller that is still the same.
ZooModel own_saved_tensor_hooks() {
  return operator_mix("OwnSavedTensorHooks", [](const at::Tensor& x, const at::Tensor& w) {
    const auto h = x.mm(w).relu();
    at::Tensor y;
    {
      const SavedTensorHooks packing(
          [](const at::Tensor& t) -> std::any {
            return std::make_pair(t.to_sparse(), t.strides().vec());
          },
          [](const std::any& packed) {
            const auto& [sparse, strides] =
                std::any_cast<const std::pair<at::Tensor, std::vector<std::int64_t>>&>(packed);
            return torch::empty_strided(sparse.sizes(), strides).copy_(sparse.to_dense());
          });
      y = torch::relu(h.mm(w) - 0.5) * h;
    }
    return loss_of(y.mm(w)) + loss_of(h.sin());
  });
}

// ---- several passes --------------------------------------------------------------------------------

ZooModel double_backward() {
  return operator_mix("DoubleBackward", [](const at::Tensor& x, const at::Tensor& w) {
    const auto inner = loss_of(torch::softplus(x.mm(w)).mm(w));
    const auto gradient = torch::autograd::grad({inner}, {w}, {}, /*retain_graph=*/true,
                                                /*create_graph=*/true)[0];
    return inner + gradient.pow(2).sum();
  });
}

// Of the input, as critics of adversarial networks are held to.
ZooModel gradient_penalty() {
  return zoo_model("GradientPenalty", [] {
    const auto w1 = weight({4, 3, 3, 3}), w2 = weight({64, 1});
    const auto images = normal({2, 3, 8, 8});
    return ZooParts{{w1, w2}, [=](int step) {
                      const auto x = images(step).clone().requires_grad_();
                      const auto h = torch::silu(torch::conv2d(x, w1, {}, 2, 1));
                      const auto score = h.flatten(1).mm(w2).sum();
                      const auto g = torch::autograd::grad({score}, {x}, {}, {}, true)[0];
                      return score.tanh() + (g.flatten(1).norm(2, 1) - 1).pow(2).mean();
                    }};
  });
}

ZooModel second_pass() {
  return operator_mix("SecondBackwardOfOneGraph", [](const at::Tensor& x, const at::Tensor& w) {
    const auto loss = loss_of(torch::dropout(x.mm(w).tanh(), 0.2, true).mm(w).sin());
    loss.backward({}, /*retain_graph=*/true);
    return loss * 0.5;
  });
}

ZooModel accumulation() {
  return operator_mix("GradientAccumulation", [](const at::Tensor& x, const at::Tensor& w) {
    const auto micro = [&w](const at::Tensor& part) {
      return loss_of(torch::gelu(torch::dropout(part.mm(w), 0.1, true)).mm(w).tanh()) / 3;
    };
    micro(x.slice(0, 0, 3)).backward();
    micro(x.slice(0, 3, 6)).backward();
    return micro(x.slice(0, 6, 8));
  });
}

// Three forwards first, then their backward passes in the order they were made.
ZooModel interleaved() {
  return operator_mix("GraphsInterleaved", [](const at::Tensor& x, const at::Tensor& w) {
    std::vector<at::Tensor> losses;
    for (int i = 0; i < 3; ++i) losses.push_back(loss_of(torch::silu(x.mm(w) * (i + 1)).mm(w)));
    losses[0].backward();
    losses[1].backward();
    return losses[2];
  });
}

ZooModel dropped_graph() {
  return operator_mix("GraphNeverUsed", [](const at::Tensor& x, const at::Tensor& w) {
    const auto discarded = loss_of(torch::dropout(x.mm(w).tanh(), 0.2, true).mm(w).sin());
    const auto partial = torch::autograd::grad({loss_of(x.mm(w).sigmoid())}, {w}, {}, {}, false)[0];
    return loss_of(x.mm(w).exp().mm(w)) + 0 * discarded.detach() + loss_of(partial.mm(w));
  });
}

// ---- without gradients -----------------------------------------------------------------------------

ZooModel detached_parts() {
  return operator_mix("DetachedParts", [](const at::Tensor& x, const at::Tensor& w) {
    const auto h = x.mm(w).tanh();
    const auto target = h.detach().mm(w.detach()).sigmoid();
    const auto through = h + (h.round() - h).detach();  // straight through
    return loss_of((through * target).mm(w)) + (h.mm(w) - target).square().mean() +
           loss_of(h.data().exp() * h);
  });
}

ZooModel evaluation_inside() {
  return zoo_model("EvaluationInside", [] {
    torch::nn::Sequential model(torch::nn::Linear(16, 16), torch::nn::BatchNorm1d(16),
                                torch::nn::ReLU(torch::nn::ReLUOptions(true)),
                                torch::nn::Dropout(0.2), torch::nn::Linear(16, 16));
    const auto x = normal({8, 16});
    return parts_of(model, [=](int step) mutable {
      at::Tensor before;
      {
        const torch::NoGradGuard no_grad;
        model->eval();
        before = loss_of(model->forward(x(step + 1)));
        model->train();
      }
      return loss_of(model->forward(x(step))) / (1 + before);
    });
  });
}

// Fine-tuning: what is before the adapter needs no gradient, what is after it needs that of its input only.
ZooModel frozen_parts() {
  return zoo_model("FrozenParts", [] {
    const auto before = torch::randn({16, 16}) * 0.3, after = torch::randn({16, 16}) * 0.3;
    const auto down = weight({16, 2}), up = weight({2, 16});
    const auto x = normal({8, 16});
    return ZooParts{{down, up}, [=](int step) {
                      const auto h = torch::gelu(x(step).mm(before));
                      const auto y = h.mm(before) + torch::dropout(h, 0.1, true).mm(down).mm(up);
                      return loss_of(torch::gelu(y.mm(after)).mm(after));
                    }};
  });
}

// ---- steps that differ -----------------------------------------------------------------------------

ZooModel branches() {
  return differing(zoo_model("BranchOnAValue", [] {
    const auto w = weight({16, 16}), v = weight({16, 16});
    const Batches x({torch::randn({8, 16}).abs(), -torch::randn({8, 16}).abs()});
    return ZooParts{{w, v}, [=](int step) {
                      auto h = x(step).mm(w).tanh();
                      if (x(step).sum().item<float>() > 0) {
                        h = torch::gelu(h.mm(v)) + h;
                      } else {
                        for (int i = 0; i < 3; ++i) h = torch::dropout(h.mm(w).sin(), 0.1, true);
                      }
                      while (h.norm().item<float>() > 2) h = h * 0.8;
                      return loss_of(h.mm(w));
                    }};
  }));
}

ZooModel shapes() {
  return differing(zoo_model("ShapesByTurns", [] {
    const auto w = weight({16, 16}), embedding = weight({30, 16});
    const Batches ids({torch::randint(30, {4, 7}, at::kLong),
                       torch::randint(30, {2, 12}, at::kLong),
                       torch::randint(30, {4, 5}, at::kLong)});
    return ZooParts{{w, embedding}, [=](int step) {
                      const auto x = torch::embedding(embedding, ids(step));
                      const auto scores = x.matmul(w).bmm(x.transpose(1, 2)).softmax(-1);
                      return loss_of(torch::dropout(scores, 0.1, true).bmm(x).matmul(w));
                    }};
  }));
}

// ---- regions ---------------------------------------------------------------------------------------

ZooModel regions() {
  return zoo_model("RegionsInsideAndNested", [] {
    torch::nn::Sequential block(torch::nn::Linear(16, 32), torch::nn::BatchNorm1d(32),
                                torch::nn::GELU(), torch::nn::Dropout(0.2),
                                torch::nn::Linear(32, 16));
    const auto x = normal({8, 16});
    return parts_of(block, [=](int step) mutable {
      const auto twice = [block](const at::Tensor& y) {
        return at::Tensor(checkpoint(block, y)).sin() + checkpoint(block, y);
      };
      const auto h = checkpoint(block, x(step)).tanh();
      return loss_of(checkpoint(twice, torch::dropout(h, 0.1, true)) * h);
    });
  });
}

}  // namespace

std::vector<ZooModel> zoo_autograd() {
  std::vector<ZooModel> all = functions();
  for (auto& model : std::vector<ZooModel>{
           tensor_hooks(), own_saved_tensor_hooks(), frozen_parts(), double_backward(),
           gradient_penalty(), second_pass(), accumulation(), interleaved(), dropped_graph(),
           detached_parts(), evaluation_inside(), branches(), shapes(), regions()}) {
    all.push_back(std::move(model));
  }
  return all;
}

}  // namespace remat::testing
