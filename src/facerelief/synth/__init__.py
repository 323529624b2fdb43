"""Renderings of endless heads with exact truth: descriptions, looks, and what draws them.

`produce` makes samples in worker processes; each is a scene that `draw` describes and
`facerelief.render` draws, written as `facerelief.samples` says; `sheet` shows many at a glance.
What a scene is put together from:

| Where | What |
| --- | --- |
| `assets` | what lies on this computer, and what is done without |
| `setting` | pose and camera, light, background, expression |
| `skin` | colour and relief of a face's skin, made up or taken from photographs |
| `features` | eyes and teeth |
| `hair` | brows and lashes, beards, hair |
| `worn` | glasses, hats, and flat things before the face |
| `ties` | how all of that is bound to a head and follows it |
| `accessories` | the draw of what a head wears: features, hair and worn |
"""
