"""Regression trees as plain arrays, and trees rebuilt from arrays that were checked.

scikit-learn's own trees do the predicting, so a rebuilt forest gives the same bytes. They walk
their nodes without looking at bounds: whatever comes from a file is checked here before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree._tree import NODE_DTYPE, Tree

Arrays = Mapping[str, NDArray[Any]]

_LEAF = -1  # child of a leaf
_NO_FEATURE = -2  # feature and threshold of a leaf
_SUM_TOLERANCE = 1e-3  # of probabilities, which were float32 once


def tree_arrays(trees: Sequence[Tree]) -> dict[str, NDArray[Any]]:
    """The nodes of trees, one tree after another.

    Args:
        trees: Fitted trees of one forest, each leaf a probability of every class.

    Returns:
        ``nodes`` (tree,) int64, number of nodes of each; ``left`` and ``right`` (node,) int32,
        children within the tree, -1 for leaves; ``feature`` (node,) int32 and ``threshold``
        (node,) float64 of a split: left where the feature is not above; ``leaves``
        (leaf, class) float64, in the order of the leaves' nodes.
    """
    left = np.concatenate([tree.children_left for tree in trees])
    values = np.concatenate([tree.value[:, :, 0] for tree in trees])
    return {
        "nodes": np.array([tree.node_count for tree in trees], np.int64),
        "left": left.astype(np.int32),
        "right": np.concatenate([tree.children_right for tree in trees]).astype(np.int32),
        "feature": np.concatenate([tree.feature for tree in trees]).astype(np.int32),
        "threshold": np.concatenate([tree.threshold for tree in trees]).astype(np.float64),
        "leaves": np.ascontiguousarray(values[left == _LEAF], np.float64),
    }


def rebuilt_trees(arrays: Arrays, trees: int, features: int, classes: int) -> list[Tree]:
    """Trees from their arrays.

    Args:
        arrays: As ``tree_arrays`` gives them, from a file that anybody may have written.
        trees: Number of trees.
        features: Number of features that they are going to be given.
        classes: Number of classes.

    Returns:
        The trees.

    Raises:
        ValueError: If an array is missing or of another kind, or if they are no such trees: a
            child out of range, before its parent or of two parents, a feature that there is
            not, a threshold that is no number, a leaf that is no probability.
    """
    nodes = _array(arrays, "nodes", np.int64, (trees,))
    if not (nodes >= 1).all():
        raise ValueError("a tree without nodes")
    left = _array(arrays, "left", np.int32, (None,))
    count = len(left)
    if nodes.max() > count or nodes.sum() != count:
        raise ValueError(f"{nodes.sum()} nodes of all trees, but {count} are stored")
    right = _array(arrays, "right", np.int32, (count,))
    feature = _array(arrays, "feature", np.int32, (count,))
    threshold = _array(arrays, "threshold", np.float64, (count,))
    first = np.cumsum(nodes) - nodes
    leaf = _leaves(left, right, first, nodes)
    if not ((feature >= 0) & (feature < features))[~leaf].all():
        raise ValueError(f"a split by a feature outside of 0 to {features - 1}")
    if not np.isfinite(threshold[~leaf]).all():
        raise ValueError("a split at a threshold that is no number")
    leaves = _array(arrays, "leaves", np.float64, (int(leaf.sum()), classes))
    if not (np.isfinite(leaves).all() and (leaves >= 0).all()):
        raise ValueError("a leaf with a negative share of a class, or one that is no number")
    if not (np.abs(leaves.sum(axis=1) - 1) <= _SUM_TOLERANCE).all():
        raise ValueError("a leaf whose shares of the classes do not sum to 1")
    table = np.zeros(count, NODE_DTYPE)
    table["left_child"], table["right_child"] = left, right
    table["feature"] = np.where(leaf, _NO_FEATURE, feature)
    table["threshold"] = np.where(leaf, _NO_FEATURE, threshold)
    values = np.zeros((count, classes, 1))
    values[leaf, :, 0] = leaves
    parts = zip(first, first + nodes, strict=True)
    return [_tree(table[a:b], values[a:b], features) for a, b in parts]


def _array(
    arrays: Arrays, name: str, dtype: type[np.generic], shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """An array of a wanted type and shape; a side of None may have any length."""
    array = arrays.get(name)
    if array is None:
        raise ValueError(f"no array {name}")
    fits = len(shape) == array.ndim and all(
        wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        raise ValueError(
            f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}"
        )
    return array


def _leaves(
    left: NDArray[Any], right: NDArray[Any], first: NDArray[Any], nodes: NDArray[Any]
) -> NDArray[np.bool_]:
    """Which nodes are leaves: (node,) bool; refuses what is no tree.

    Every node but the first of a tree is the child of exactly one node before it, which leaves
    no circle and no node that cannot be reached.
    """
    leaf = left == _LEAF
    if not (leaf == (right == _LEAF)).all():
        raise ValueError("a node with one child")
    own = np.arange(len(left)) - first.repeat(nodes)
    inner, size = ~leaf, nodes.repeat(nodes)
    for child in (left[inner], right[inner]):
        if not ((child > own[inner]) & (child < size[inner])).all():
            raise ValueError("a node whose child is not one of the nodes behind it")
    base = first.repeat(nodes)[inner]
    parents = np.bincount(np.concatenate([left[inner] + base, right[inner] + base]), None, len(own))
    if not (parents == (own > 0)).all():
        raise ValueError("a node that is not the child of exactly one other")
    return np.asarray(leaf)


def _tree(nodes: NDArray[Any], values: NDArray[np.float64], features: int) -> Tree:
    classes = values.shape[1]
    tree = Tree(features, np.ones(classes, np.intp), classes)
    # scikit-learn has no other way to make a tree of known nodes; its depth is looked at by no
    # prediction.
    tree.__setstate__({"max_depth": 0, "node_count": len(nodes), "nodes": nodes, "values": values})
    return tree
