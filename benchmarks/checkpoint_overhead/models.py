"""The models of models.cc, line by line."""

import math

import torch
import torch.nn.functional as F

VOCABULARY = 256


class Model:
    """Of tensors on a device in a dtype: `kind` has both."""

    def __init__(self, kind):
        self.layers, self.parameters, self.kind = [], [], kind

    def keep(self, tensor):
        self.parameters.append(tensor.clone().requires_grad_())
        return self.parameters[-1]

    def weight(self, *shape):
        return self.keep(torch.randn(shape, **self.kind) * 0.02)

    def ones(self, n):
        return self.keep(torch.ones(n, **self.kind))

    def zeros(self, n):
        return self.keep(torch.zeros(n, **self.kind))

    def make_input(self, *shape):
        self.input = torch.randn(shape, **self.kind).requires_grad_()

    def make_target(self, classes, count):
        self.target = torch.randint(classes, (count,), device=self.kind["device"])


def attention(q, k, v, mask):
    scores = q.matmul(k.transpose(-2, -1)) / math.sqrt(q.size(-1))
    return (scores + mask).softmax(-1).matmul(v)


def split_heads(x, heads):
    return x.view(x.size(0), x.size(1), heads, x.size(2) // heads).transpose(1, 2)


def merge_heads(x):
    return x.transpose(1, 2).flatten(2)


def layer_norm(x, weight, bias):
    return torch.layer_norm(x, (x.size(-1),), weight, bias)


def gpt_block(make, c, heads, mask):
    w1, b1, w2, b2 = make.ones(c), make.zeros(c), make.ones(c), make.zeros(c)
    qkv, qkv_bias = make.weight(3 * c, c), make.zeros(3 * c)
    out, out_bias = make.weight(c, c), make.zeros(c)
    up, up_bias = make.weight(4 * c, c), make.zeros(4 * c)
    down, down_bias = make.weight(c, 4 * c), make.zeros(c)

    def block(x):
        parts = F.linear(layer_norm(x, w1, b1), qkv, qkv_bias).chunk(3, -1)
        y = attention(split_heads(parts[0], heads), split_heads(parts[1], heads),
                      split_heads(parts[2], heads), mask)
        z = x + F.linear(merge_heads(y), out, out_bias)
        hidden = F.gelu(F.linear(layer_norm(z, w2, b2), up, up_bias))
        return z + F.linear(hidden, down, down_bias)

    return block


def rms_norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, True) + 1e-5) * weight


def rotate(x, cosine, sine):
    halves = x.chunk(2, -1)
    return x * cosine + torch.cat((-halves[1], halves[0]), -1) * sine


def llama_block(make, c, heads, mask, cosine, sine):
    wide = 8 * c // 3
    w1, w2 = make.ones(c), make.ones(c)
    q, k, v, out = (make.weight(c, c) for _ in range(4))
    gate, up, down = make.weight(wide, c), make.weight(wide, c), make.weight(c, wide)

    def block(x):
        n = rms_norm(x, w1)
        y = attention(rotate(split_heads(F.linear(n, q), heads), cosine, sine),
                      rotate(split_heads(F.linear(n, k), heads), cosine, sine),
                      split_heads(F.linear(n, v), heads), mask)
        z = x + F.linear(merge_heads(y), out)
        m = rms_norm(z, w2)
        return z + F.linear(F.silu(F.linear(m, gate)) * F.linear(m, up), down)

    return block


def decoder(kind, layers, width, heads, tokens, batch, llama):
    model = Model(kind)
    mask = torch.full((tokens, tokens), -1e9).triu(1).to(**kind)
    half = width // heads // 2
    frequency = 10000.0 ** (-torch.arange(half) / half)
    angle = torch.outer(torch.arange(tokens), frequency).repeat(1, 2)
    cosine, sine = angle.cos().to(**kind), angle.sin().to(**kind)
    for _ in range(layers):
        model.layers.append(llama_block(model, width, heads, mask, cosine, sine) if llama
                            else gpt_block(model, width, heads, mask))
    unembed = model.weight(VOCABULARY, width)
    model.head = lambda x: F.linear(x, unembed).flatten(0, 1)
    model.make_input(batch, tokens, width)
    model.make_target(VOCABULARY, batch * tokens)
    return model


def residual_block(make, start, to, stride):
    conv1, conv2 = make.weight(to, start, 3, 3), make.weight(to, to, 3, 3)
    w1, b1, w2, b2 = make.ones(to), make.zeros(to), make.ones(to), make.zeros(to)
    same = start == to and stride == 1
    shortcut = None if same else make.weight(to, start, 1, 1)

    def norm(x, weight, bias):
        return torch.batch_norm(x, weight, bias, None, None, True, 0.1, 1e-5, False)

    def block(x):
        y = torch.relu(norm(torch.conv2d(x, conv1, None, stride, 1), w1, b1))
        z = norm(torch.conv2d(y, conv2, None, 1, 1), w2, b2)
        return torch.relu(z + (x if same else torch.conv2d(x, shortcut, None, stride)))

    return block


def resnet(kind, width, side, batch):
    model = Model(kind)
    start = width
    for to in (width, 2 * width, 4 * width, 8 * width):
        model.layers.append(residual_block(model, start, to, 1 if start == to else 2))
        model.layers.append(residual_block(model, to, to, 1))
        start = to
    classes = model.weight(10, start)
    model.head = lambda x: F.linear(x.mean((2, 3)), classes)
    model.make_input(batch, width, side, side)
    model.make_target(10, batch)
    return model


def lstm(kind, tokens, batch, width):
    model = Model(kind)

    def layer(w, u, b):
        def run(x):
            h, c = torch.zeros(batch, width, **kind), torch.zeros(batch, width, **kind)
            out = []
            for step in F.linear(x, w, b).unbind(0):
                gates = (step + F.linear(h, u)).chunk(4, -1)
                c = gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].tanh()
                h = gates[3].sigmoid() * c.tanh()
                out.append(h)
            return torch.stack(out)
        return run

    for _ in range(4):
        w, u = model.weight(4 * width, width), model.weight(4 * width, width)
        model.layers.append(layer(w, u, model.zeros(4 * width)))
    classes = model.weight(VOCABULARY, width)
    model.head = lambda x: F.linear(x, classes).flatten(0, 1)
    model.make_input(tokens, batch, width)
    model.make_target(VOCABULARY, tokens * batch)
    return model


SMALL = {
    "gpt512": lambda kind: decoder(kind, 6, 256, 4, 512, 2, False),
    "gpt2048": lambda kind: decoder(kind, 3, 128, 2, 2048, 1, False),
    "llama512": lambda kind: decoder(kind, 6, 256, 4, 512, 2, True),
    "llama2048": lambda kind: decoder(kind, 3, 128, 2, 2048, 1, True),
    "tiny": lambda kind: decoder(kind, 24, 32, 2, 8, 1, False),
    "demo": lambda kind: decoder(kind, 6, 192, 6, 256, 8, False),
    "resnet": lambda kind: resnet(kind, 32, 32, 48),
    "lstm": lambda kind: lstm(kind, 48, 16, 192),
}

LARGE = {
    **SMALL,
    "gpt512": lambda kind: decoder(kind, 12, 1024, 16, 512, 8, False),
    "gpt2048": lambda kind: decoder(kind, 12, 1024, 16, 2048, 2, False),
    "llama512": lambda kind: decoder(kind, 12, 1024, 16, 512, 8, True),
    "llama2048": lambda kind: decoder(kind, 12, 1024, 16, 2048, 2, True),
    "resnet": lambda kind: resnet(kind, 64, 56, 256),
    "lstm": lambda kind: lstm(kind, 48, 64, 1024),
}


def make_model(name, device, dtype):
    torch.manual_seed(1)
    return (SMALL if device == "cpu" else LARGE)[name]({"device": device, "dtype": dtype})
