"""Muon: singular values, the size of a step, kernels as matrices, several shapes at once."""

import pytest
import torch

from mvae.training.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(3, 16, 48), (2, 40, 24), (1, 32, 32)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = orthogonalise(matrices).float()
    values = torch.linalg.svdvals(made)
    assert made.shape == shape and values.min() > 0.3 and values.max() < 1.4
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    nearest = left @ right
    cosine = (made * nearest).flatten(1).sum(1) / (made.flatten(1).norm(dim=1) * nearest.flatten(1).norm(dim=1))
    assert cosine.min() > 0.97


def test_a_step_has_the_root_mean_square_of_adamw_and_decays():
    weight = torch.nn.Parameter(torch.ones(64, 64))
    weight.grad = torch.randn(64, 64, generator=torch.Generator().manual_seed(1))
    before = weight.detach().clone()
    Muon([weight], lr=0.01, weight_decay=0.5).step()
    moved = weight.detach() - before * (1 - 0.01 * 0.5)
    assert moved.square().mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.15)


def test_a_kernel_is_updated_as_its_matrix_whatever_its_memory_layout():
    generator = torch.Generator().manual_seed(2)
    start, gradient = torch.randn(8, 6, 3, 3, generator=generator), torch.randn(8, 6, 3, 3, generator=generator)
    kernel = torch.nn.Parameter(start.clone().to(memory_format=torch.channels_last))
    matrix = torch.nn.Parameter(start.flatten(1).clone())
    kernel.grad, matrix.grad = gradient.to(memory_format=torch.channels_last), gradient.flatten(1)
    for parameter in (kernel, matrix):
        optimiser = Muon([parameter], lr=0.1)
        optimiser.step()
        optimiser.step()
    assert torch.allclose(kernel.detach().flatten(1), matrix.detach(), atol=1e-5)


def test_parameters_without_gradient_stand_still():
    moving, still = torch.nn.Parameter(torch.ones(4, 4)), torch.nn.Parameter(torch.ones(4, 4))
    moving.grad = torch.eye(4)
    Muon([moving, still], lr=0.1, weight_decay=0.1).step()
    assert torch.equal(still, torch.ones(4, 4)) and not torch.equal(moving, torch.ones(4, 4))
