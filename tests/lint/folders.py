"""src/README.md has a paragraph for each folder of src/."""


def check(root):
    readme = root / "src" / "README.md"
    if not readme.is_file():
        return [f"{readme}: is missing"]
    folders = sorted(p.name for p in (root / "src").iterdir() if p.is_dir() and any(p.iterdir()))
    if len(folders) < 5:
        return [f"{root}/src: read only {len(folders)} folders, expected at least 5"]
    text = readme.read_text()
    return [f"{readme}: no paragraph begins with **`{name}`**"
            for name in folders if f"\n**`{name}`**" not in text]
