#include "torch_bridge/op_writes.h"

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include <c10/util/flat_hash_map.h>

namespace remat::torch_bridge {
namespace {

struct HiddenWriter {
  std::string_view op;
  std::vector<const char*> arguments;
  const char* only_if = nullptr;  // a bool argument
};

// Names rather than positions: they are the same in all LibTorch versions, an absent one is passed over.
// Every overload (`.out` too) of the operator is meant.
const std::vector<HiddenWriter>& hidden_writers() {
  static const std::vector<HiddenWriter> table = {
      {"aten::native_batch_norm", {"running_mean", "running_var"}, "training"},
      {"aten::cudnn_batch_norm", {"running_mean", "running_var"}, "training"},
      {"aten::miopen_batch_norm", {"running_mean", "running_var"}, "training"},
      {"aten::batch_norm_update_stats", {"running_mean", "running_var"}},
      {"aten::batch_norm_gather_stats", {"running_mean", "running_var"}},
      {"aten::batch_norm_gather_stats_with_counts", {"running_mean", "running_var"}},
      {"aten::rrelu_with_noise", {"noise"}},
      {"aten::rrelu_with_noise_", {"noise"}},
      {"aten::mkldnn_rnn_layer_backward", {"workspace"}},
      {"aten::cudnn_batch_norm_backward", {"reserveSpace"}},
      {"aten::_cudnn_rnn", {"weight_buf", "dropout_state"}},
      {"aten::_cudnn_rnn_backward", {"reserve"}},
      {"aten::miopen_rnn", {"dropout_state"}},
      {"aten::miopen_rnn_backward", {"reserve"}},
      {"aten::_thnn_fused_lstm_cell_backward_impl", {"workspace"}},
      {"aten::_thnn_fused_gru_cell_backward", {"workspace"}},
  };
  return table;
}

void add_declared(const c10::FunctionSchema& schema, OpWrites& writes) {
  const auto& arguments = schema.arguments();
  for (std::uint32_t i = 0; i < arguments.size(); ++i) {
    const auto* alias = arguments[i].alias_info();
    if (alias != nullptr && alias->isWrite()) {
      writes.declared.push_back(i);
    }
  }
}

void add_hidden(const c10::FunctionSchema& schema, OpWrites& writes) {
  for (const HiddenWriter& writer : hidden_writers()) {
    if (schema.name() != writer.op) {
      continue;
    }
    for (const char* name : writer.arguments) {
      const auto index = schema.argumentIndexWithName(name);
      const auto* alias = index ? schema.arguments()[*index].alias_info() : nullptr;
      if (index && !(alias != nullptr && alias->isWrite())) {
        writes.hidden.push_back(static_cast<std::uint32_t>(*index));
      }
    }
    const auto condition =
        writer.only_if != nullptr ? schema.argumentIndexWithName(writer.only_if) : c10::nullopt;
    writes.hidden_only_if = condition ? *condition : -1;
  }
}

OpWrites describe(const c10::FunctionSchema& schema) {
  OpWrites writes;
  add_declared(schema, writes);
  add_hidden(schema, writes);
  return writes;
}

}  // namespace

// What comes before says whether seeds and workspaces are the same: it was computed with them. The logarithms of
// the memory-efficient attention are padded to a multiple of 32 rows.
std::int32_t first_result_with_unwritten_bytes(const c10::OperatorHandle& op) {
  static const std::unordered_map<std::string, std::int32_t> table = {
      {"aten::mkldnn_rnn_layer", 3},
      {"aten::_cudnn_rnn", 3},
      {"aten::cudnn_batch_norm", 3},
      {"aten::_batch_norm_with_update", 3},
      {"aten::_scaled_dot_product_flash_attention", 6},
      {"aten::_scaled_dot_product_cudnn_attention", 6},
      {"aten::_scaled_dot_product_fused_attention_overrideable", 6},
      {"aten::_scaled_dot_product_efficient_attention", 1},
      {"aten::_flash_attention_forward", 2},
      {"aten::_cudnn_attention_forward", 6},
      {"aten::_efficient_attention_forward", 1},
  };
  const auto found = table.find(op.schema().name());
  return found != table.end() ? found->second
                              : static_cast<std::int32_t>(op.schema().returns().size());
}

const OpWrites& writes_of(const c10::OperatorHandle& op) {
  // Per thread: no lock. Schemas live as long as their operator, which libraries rarely unload.
  thread_local ska::flat_hash_map<const c10::FunctionSchema*, std::unique_ptr<const OpWrites>>
      known;
  const c10::FunctionSchema& schema = op.schema();
  auto& writes = known[&schema];
  if (writes == nullptr) {
    writes = std::make_unique<const OpWrites>(describe(schema));
  }
  return *writes;
}

}  // namespace remat::torch_bridge
