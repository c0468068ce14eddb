#include "graph/op_name.h"

#include <gtest/gtest.h>

namespace remat::graph {
namespace {

TEST(OpName, HasAPlaceAndAKind) {
  const auto name = parse_op_name("blocks.3.attention.qkv: aten::addmm");
  EXPECT_EQ(name.place, "blocks.3.attention.qkv");
  EXPECT_EQ(name.kind, "aten::addmm");
  EXPECT_EQ(to_string(name), "blocks.3.attention.qkv: aten::addmm");
}

TEST(OpName, NeedsNoPlace) {
  const auto name = parse_op_name("aten::empty_like aten::bernoulli_.float");
  EXPECT_EQ(name.place, "");
  EXPECT_EQ(name.kind, "aten::empty_like aten::bernoulli_.float");
  EXPECT_EQ(to_string(name), "aten::empty_like aten::bernoulli_.float");
}

TEST(OpName, IsOfALayer) {
  EXPECT_EQ(layer_of("blocks.3.attention.qkv"), "blocks.3");
  EXPECT_EQ(layer_of("block12.attention.qkv"), "block12");
  EXPECT_EQ(layer_of("features.denseblock1.conv2"), "features");
  EXPECT_EQ(layer_of("encoder.norm"), "encoder");
  EXPECT_EQ(layer_of("7"), "7");
  EXPECT_EQ(layer_of(""), "");
}

TEST(OpName, IsTheSameForLayersOfOneKind) {
  EXPECT_EQ(without_numbers("blocks.3.mlp.0: aten::add.2"), "blocks.*.mlp.*: aten::add.2");
  EXPECT_EQ(without_numbers("block12.mlp2: gelu"), "block*.mlp2: gelu");
  EXPECT_EQ(without_numbers("conv1: convolution"), "conv1: convolution") << "two are not in a row";
  EXPECT_EQ(without_numbers("conv2d 3"), "conv2d 3") << "a kind has no place in a row";
}

TEST(OpName, SaysWhichLayersHaveItInCommon) {
  EXPECT_EQ(common_name({"blocks.3.mlp: gelu"}), "blocks.3.mlp: gelu");
  EXPECT_EQ(common_name({"blocks.7.mlp: gelu", "blocks.0.mlp: gelu", "blocks.2.mlp: gelu",
                         "blocks.1.mlp: gelu", "blocks.1.mlp: gelu"}),
            "blocks.0-2,7.mlp: gelu");
  EXPECT_EQ(common_name({"block0.in: mm", "block1.in: mm"}), "block0-1.in: mm");
  EXPECT_EQ(common_name({"a.0.b.1: x", "a.1.b.2: x"}), "a.0-1.b.*: x");
  EXPECT_EQ(common_name({"a.0: x", "a.2: x", "a.4: x", "a.6: x", "a.8: x"}), "a.*: x");
}

}  // namespace
}  // namespace remat::graph
