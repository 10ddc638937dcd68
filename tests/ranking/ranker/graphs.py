"""ONNX graphs whose answer is plain arithmetic."""

import onnx
from onnx import TensorProto, helper


def plain_graph(dims, bias=0.0):
    """(bias + log(first user feature) + sum of content and context) / 100: NaN for a negative user feature."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in dims.items()]
    nodes = [
        helper.make_node("Concat", ["content", "context"], ["wide"], axis=1),
        helper.make_node("ReduceSum", ["wide", "axis"], ["total"], keepdims=1),
        helper.make_node("Gather", ["user", "first"], ["one"], axis=1),
        helper.make_node("Log", ["one"], ["logged"]),
        helper.make_node("Add", ["total", "logged"], ["sum"]),
        helper.make_node("Add", ["sum", "bias"], ["hundredfold"]),
        helper.make_node("Div", ["hundredfold", "hundred"], ["score"]),
    ]
    constants = [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
        helper.make_tensor("bias", TensorProto.FLOAT, [1], [bias]),
        helper.make_tensor("hundred", TensorProto.FLOAT, [1], [100.0]),
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])
    graph = helper.make_graph(nodes, "plain", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model.SerializeToString()
