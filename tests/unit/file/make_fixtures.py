"""Makes the files in fixtures/. Run with torch 2.13.0 and safetensors 0.8.0 (any close version gives
files that the tests accept, though not the same bytes). Element i of a tensor is (i + start) / 4 in
row-major order; the tests compute the same."""

import collections
import io
import os
import zipfile

import torch
from safetensors.torch import save_file

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")


def ramp(start, *shape, dtype=torch.float32):
    count = 1
    for size in shape:
        count *= size
    return ((torch.arange(count, dtype=torch.float64) + start) / 4).reshape(shape).to(dtype)


def state():
    shared = ramp(100, 3, 4)
    wide = ramp(0, 5, 7)
    cube = ramp(50, 2, 3, 5)
    out = collections.OrderedDict()
    out["plain"] = ramp(1, 2, 3)
    out["half"] = ramp(2, 5, dtype=torch.float16)
    out["brain"] = ramp(3, 7, dtype=torch.bfloat16)
    out["double"] = ramp(4, 3, dtype=torch.float64)
    out["scalar"] = torch.tensor(2.5)
    out["empty"] = torch.zeros(0, 3)
    out["transposed"] = wide.t()  # shape (7, 5)
    out["slice"] = wide[1:4, 2:5]  # offset and gaps
    out["permuted"] = cube.permute(2, 0, 1)  # shape (5, 2, 3)
    out["tied_a"] = shared
    out["tied_b"] = shared
    out["tied_row"] = shared[1]
    out["parameter"] = torch.nn.Parameter(ramp(9, 2, 2))
    out["mask"] = torch.tensor([True, False, True])
    out["ids"] = torch.arange(4)
    out["naïve"] = ramp(0, 1)
    out._metadata = collections.OrderedDict([("", {"version": 1}), ("inner", {"version": None})])
    return out


def save(name, value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return write(name, buffer.getvalue())


def write(name, content):
    with open(os.path.join(HERE, name), "wb") as file:
        file.write(content)
    return content


def deflate(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(
        buffer, "w", zipfile.ZIP_DEFLATED
    ) as target:
        for member in source.infolist():
            entry = zipfile.ZipInfo(member.filename)
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, source.read(member))
    return buffer.getvalue()


def main():
    os.makedirs(HERE, exist_ok=True)
    plain = save("plain.bin", state())
    save("protocol4.bin", state(), pickle_protocol=4)
    write("deflated.bin", deflate(plain))
    save("legacy.bin", {"a": ramp(0, 3)}, _use_new_zipfile_serialization=False)
    save("expanded.bin", {"a": torch.ones(1).expand(5)})
    save("nested.bin", {"state_dict": {"a": ramp(0, 3)}})
    save("number.bin", {"a": ramp(0, 3), "step": 3})
    save("module.bin", torch.nn.Linear(2, 2))
    save("four.bin", {name: ramp(i, 2, 3) for i, name in enumerate("abcd")})
    save_file(
        {
            "plain": ramp(1, 2, 3),
            "half": ramp(2, 5, dtype=torch.float16),
            "brain": ramp(3, 7, dtype=torch.bfloat16),
            "double": ramp(4, 3, dtype=torch.float64),
            "scalar": torch.tensor(2.5),
            "empty": torch.zeros(0, 3),
            "mask": torch.tensor([True, False, True]),
            "ids": torch.arange(4),
            'nai"ve\n\u00ef': ramp(0, 1),
        },
        os.path.join(HERE, "reference.safetensors"),
        metadata={"format": "pt"},
    )


main()
