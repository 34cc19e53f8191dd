"""Renders three small pictures with the real renderer, for a recording of its Vulkan calls."""

from __future__ import annotations

import motrixsim

from motrace.workloads.humanoid_env import MODEL_FILE
from motrace.workloads.motrix_camera import MotrixCamera

model = motrixsim.load_model(str(MODEL_FILE))
camera = MotrixCamera(model, 1, 64, 48)
data = motrixsim.SceneData(model, batch=(1,))
for _ in range(3):
    camera.capture(data)
camera.close()
