// Plays a .bvh with the BVHLoader of three.js and prints where its joints are in each frame: {name: [[x, y, z], ...]}.
// node bvh.mjs FILE FRAMES FPS
import { readFileSync } from 'node:fs';
import * as THREE from 'three';
import { BVHLoader } from 'three/examples/jsm/loaders/BVHLoader.js';

const [path, frames, fps] = process.argv.slice(2);
const { skeleton, clip } = new BVHLoader().parse(readFileSync(path, 'utf8'));
// An animation takes what is before a colon for a folder (mixamorig:Hips), so that names with one have to go without it.
const plain = (name) => THREE.PropertyBinding.sanitizeNodeName(name);
const names = skeleton.bones.map((bone) => bone.name);
for (const track of clip.tracks) track.name = track.name.replace(/^.*(?=\.\w+$)/, plain);
for (const bone of skeleton.bones) bone.name = plain(bone.name);
const root = skeleton.bones[0];
const mixer = new THREE.AnimationMixer(root);
const action = mixer.clipAction(clip);
action.setLoop(THREE.LoopOnce);
action.clampWhenFinished = true;
action.play();
const places = {};
const place = new THREE.Vector3();
for (let frame = 0; frame < Number(frames); frame++) {
  mixer.setTime(frame / Number(fps));
  root.updateMatrixWorld(true);
  skeleton.bones.forEach((bone, index) => (places[names[index]] ??= []).push(bone.getWorldPosition(place).toArray()));
}
console.log(JSON.stringify(places));
