"""What the bench found: goals beside figures."""

from typing import Any


def _share(size: int) -> str:
    """Return how the goal against the gather limit of a catalogue is named."""
    return f"share of the gather limit, I={size}, k=10, B=16384"


def goals(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the goals with the figures beside them; a goal not measured is left out."""
    cells, limits = result["cells"], result["limits"]

    def rate(name: str) -> float | None:
        return cells[name]["highest"] if name in cells else None

    def over(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else a / b

    wanted: list[tuple[str, str, float, float | None]] = [
        (f"k={k}, B=1024, I=1k against CartPole's native vector", ">=", least,
         over(rate(f"B=1024 k={k} I=1000"), rate("CartPole B=1024")))
        for k, least in ((1, 1.3), (10, 0.5))
    ] + [
        (f"k={k}: a step with I=1M against I=1k, B=1024", "<=", most,
         over(rate(f"B=1024 k={k} I=1000"), rate(f"B=1024 k={k} I=1000000")))
        for k, most in ((1, 1.5), (10, 4.0))
    ] + [
        (_share(size), ">=", 0.8,
         over(rate(f"B=16384 k=10 I={size}"), limits.get(f"B=16384 k=10 I={size}")))
        for size in (100_000, 1_000_000)
    ]  # fmt: skip
    wanted.append(
        ("one environment through make against CartPole-v1", ">=", 1.0,
         over(rate("single"), rate("CartPole single")))
    )  # fmt: skip
    if result["options"]:
        worst = max(result["options"].values())
        wanted.append(("dearest option against the default step", "<=", 2.0, worst))
    bounds = {
        wanted[x][0]: over(rate(f"bare loop B=1024 k={k} I=1000"), rate("CartPole B=1024"))
        for x, k in enumerate((1, 10))
    }
    for size in (100_000, 1_000_000):
        cell = f"B=16384 k=10 I={size}"
        bounds[_share(size)] = over(rate(f"bare loop {cell}"), limits.get(cell))
    return [
        {
            "goal": name,
            "wanted": f"{sign} {value:g}",
            "figure": figure,
            "met": figure >= value if sign == ">=" else figure <= value,
            "bound": bounds.get(name),
            "in_reach": (bounds.get(name) or value) >= value,
        }
        for name, sign, value, figure in wanted
        if figure is not None
    ]


def report(result: dict[str, Any]) -> str:
    """Return the result as text: goals, rates in million user-steps a CPU second, costs."""
    lines = ["goals"]
    for goal in result["goals"]:
        mark = "met   " if goal["met"] else "missed"
        words = "a bare loop:" if goal["in_reach"] else "out of reach here, a bare loop has"
        bound = "" if goal["bound"] is None else f" ({words} {goal['bound']:.2f})"
        lines.append(f"  {mark} {goal['figure']:6.2f} {goal['wanted']:>7}  {goal['goal']}{bound}")
    lines.append("million user-steps a CPU second: median [lowest, highest], share of the limit")
    for name, cell in result["cells"].items():
        low, mid, high = (cell[part] / 1e6 for part in ("lowest", "median", "highest"))
        limit = result["limits"].get(name)
        share = f"  {cell['highest'] / limit:4.0%}" if limit else ""
        lines.append(f"  {name:<26} {mid:8.3f} [{low:.3f}, {high:.3f}]{share}")
    if result["options"]:
        lines.append("cost of a step with an option, relative to the default")
        lines += [f"  {name:<26} {cost:5.2f}" for name, cost in result["options"].items()]
    lines.append("memory")
    lines += [f"  {name:<26} {mb:8.1f} MB" for name, mb in result["memory_mb"].items()]
    load = result["machine"]["load"][0]
    lines.append(
        f"load of the machine at the end: {load:.1f} on {result['machine']['cores']} cores"
    )
    return "\n".join(lines)
