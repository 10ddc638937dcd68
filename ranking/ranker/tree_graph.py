"""Boosted trees as an ONNX graph: one ensemble with one sum per column, asked like the networks are.

scikit-learn keeps a fitted tree as an array of nodes. Its thresholds are float64 and were chosen between float32
values, so they are rounded down to float32: `x <= threshold` is then the same question for every float32 x. Missing
values do not occur, as features are finite (`features.extraction.definitions.stack`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

INPUTS: Final = ("user", "content", "context")
OPSET: Final = 17
IR_VERSION: Final = 9
_ML: Final = "ai.onnx.ml"


def graph_of(columns: Sequence[Sequence[Any]], base: Sequence[float], widths: Mapping[str, int]) -> bytes:
    """An ONNX file with inputs user, content, context and the output `tree_sums`, float32 (n, columns).

    Parameters
    ----------
    columns : per output the node arrays of its trees, as scikit-learn's `TreePredictor.nodes` are
    base : per output the value that the trees add to
    widths : columns of each input
    """
    return _model(_attributes(columns), base, widths)


def replaced(graph: bytes, other: bytes, columns: Sequence[int]) -> bytes:
    """A graph of trees in which some outputs are those of another one.

    Parameters
    ----------
    columns : which output of `graph` each output of `other` takes the place of; their inputs are alike
    """
    (ours, base, widths), (theirs, later, _) = _read(graph), _read(other)
    place = np.asarray(columns, np.int64)
    kept = ~np.isin(_output_of(ours), place)
    parts = [_chosen(ours, kept), _chosen(theirs, np.ones(len(_output_of(theirs)), np.bool_))]
    parts[1]["target_ids"] = place[parts[1]["target_ids"].astype(np.int64)]
    shift = int(parts[0]["nodes_treeids"].max(initial=-1)) + 1
    for name in ("nodes_treeids", "target_treeids"):
        parts[1][name] = parts[1][name] + shift
    base[place] = later
    joined = {name: np.concatenate([part[name] for part in parts]).tolist() for name in parts[0]}
    modes = {0: "BRANCH_LEQ", 1: "LEAF"}
    joined["nodes_modes"] = [modes[int(each)] for each in joined["nodes_modes"]]
    return _model(joined, base.tolist(), widths)


Arrays = dict[str, NDArray[Any]]


def _read(graph: bytes) -> tuple[Arrays, NDArray[np.float64], dict[str, int]]:
    """Attributes of the trees as arrays (modes as 1 for a leaf), base values, and columns of each input."""
    import onnx  # noqa: PLC0415
    from onnx import helper  # noqa: PLC0415

    model = onnx.load_from_string(graph)
    (ensemble,) = (node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor")
    told = {each.name: helper.get_attribute_value(each) for each in ensemble.attribute}
    arrays = {name: np.asarray(values) for name, values in told.items() if name.startswith(("nodes_", "target_"))}
    arrays["nodes_modes"] = np.array([mode == b"LEAF" for mode in told["nodes_modes"]], np.int64)
    widths = {each.name: each.type.tensor_type.shape.dim[1].dim_value for each in model.graph.input}
    return arrays, np.array(told["base_values"], np.float64), widths


def _output_of(trees: Arrays) -> NDArray[np.int64]:
    """The output that each tree adds to, by tree; trees are numbered from 0 and each adds to one."""
    found = np.zeros(int(trees["nodes_treeids"].max(initial=-1)) + 1, np.int64)
    found[trees["target_treeids"]] = trees["target_ids"]
    return found


def _chosen(trees: Arrays, kept: NDArray[np.bool_]) -> Arrays:
    """Some of the trees, numbered anew."""
    number = np.cumsum(kept) - 1
    rows = {prefix: kept[trees[f"{prefix}_treeids"]] for prefix in ("nodes", "target")}
    some = {name: values[rows[name.partition("_")[0]]] for name, values in trees.items()}
    return some | {name: number[some[name]] for name in ("nodes_treeids", "target_treeids")}


def _model(attributes: Mapping[str, Any], base: Sequence[float], widths: Mapping[str, int]) -> bytes:
    from onnx import TensorProto, checker, helper  # noqa: PLC0415  a web process never writes graphs

    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, widths[name]]) for name in INPUTS]
    output = helper.make_tensor_value_info("tree_sums", TensorProto.FLOAT, [None, len(base)])
    nodes = [
        helper.make_node("Concat", list(INPUTS), ["wide_trees"], axis=1),
        helper.make_node(
            "TreeEnsembleRegressor", ["wide_trees"], ["tree_sums"], domain=_ML, n_targets=len(base),
            aggregate_function="SUM", post_transform="NONE", base_values=list(map(float, base)), **attributes,
        ),
    ]  # fmt: skip
    model = helper.make_model(
        helper.make_graph(nodes, "trees", inputs, [output]), ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(_ML, 3)],
    )  # fmt: skip
    checker.check_model(model)
    return bytes(model.SerializeToString())


def beside(network: bytes, trees: bytes, mix: NDArray[np.float32]) -> bytes:
    """A network's graph and that of trees as one: the outputs of both, side by side, times a matrix.

    Parameters
    ----------
    network, trees : ONNX files with the same inputs and one output each
    mix : (outputs of both, outputs of the result)
    """
    import onnx  # noqa: PLC0415
    from onnx import TensorProto, checker, helper, numpy_helper  # noqa: PLC0415

    one, other = onnx.load_from_string(network), onnx.load_from_string(trees)
    theirs = one.graph.output[0].name
    # The trees' nodes name the inputs as the network does; what else they name is theirs alone.
    one.graph.node.extend(other.graph.node)
    one.graph.node.append(helper.make_node("Concat", [theirs, other.graph.output[0].name], ["both"], axis=1))
    one.graph.node.append(helper.make_node("MatMul", ["both", "mix"], ["mixed"]))
    one.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(mix, np.float32), "mix"))
    del one.graph.output[:]
    one.graph.output.append(helper.make_tensor_value_info("mixed", TensorProto.FLOAT, [None, mix.shape[1]]))
    one.opset_import.append(helper.make_opsetid(_ML, 3))
    checker.check_model(one)
    return bytes(one.SerializeToString())


def rounded_down(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each value.

    >>> float(rounded_down(np.array([0.1]))[0]) <= 0.1 < float(np.float32(0.1))
    True
    """
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def _attributes(columns: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The nodes of all trees, side by side."""
    trees = [(target, nodes) for target, trees in enumerate(columns) for nodes in trees]
    sizes = [len(nodes) for _, nodes in trees]
    every = np.concatenate([nodes for _, nodes in trees])
    tree = np.repeat(np.arange(len(trees)), sizes)
    node = np.concatenate([np.arange(size) for size in sizes])
    leaf = every["is_leaf"].astype(bool)
    target = np.repeat([each for each, _ in trees], sizes)
    return {
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": node.tolist(),
        "nodes_featureids": np.where(leaf, 0, every["feature_idx"]).astype(int).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": np.where(leaf, np.float32(0.0), rounded_down(every["num_threshold"])).tolist(),
        "nodes_truenodeids": np.where(leaf, 0, every["left"]).astype(int).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, every["right"]).astype(int).tolist(),
        "target_treeids": tree[leaf].tolist(),
        "target_nodeids": node[leaf].tolist(),
        "target_ids": target[leaf].tolist(),
        "target_weights": every["value"][leaf].astype(np.float32).tolist(),
    }
