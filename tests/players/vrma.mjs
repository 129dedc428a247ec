// Plays a .vrma on a VRM avatar with the runtime of pixiv and prints where the avatar's bones are: {bone: [[x, y, z], ...]}.
// node vrma.mjs AVATAR.vrm MOTION.vrma FRAMES FPS
import { readFileSync } from 'node:fs';

globalThis.self = globalThis;  // three.js expects a browser's name for it
const THREE = await import('three');
const { GLTFLoader } = await import('three/examples/jsm/loaders/GLTFLoader.js');
const { VRMLoaderPlugin } = await import('@pixiv/three-vrm');
const { VRMAnimationLoaderPlugin, createVRMAnimationClip } = await import('@pixiv/three-vrm-animation');

const [avatar, motion, frames, fps] = process.argv.slice(2);
const loader = new GLTFLoader();
loader.register((parser) => new VRMLoaderPlugin(parser));
loader.register((parser) => new VRMAnimationLoaderPlugin(parser));
const open = async (path) => {
  const bytes = readFileSync(path);
  return loader.parseAsync(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length), '');
};
const vrm = (await open(avatar)).userData.vrm;
const animation = (await open(motion)).userData.vrmAnimations[0];
const mixer = new THREE.AnimationMixer(vrm.scene);
const action = mixer.clipAction(createVRMAnimationClip(animation, vrm));
action.setLoop(THREE.LoopOnce);
action.clampWhenFinished = true;
action.play();
const places = {};
const place = new THREE.Vector3();
for (let frame = 0; frame < Number(frames); frame++) {
  mixer.setTime(frame / Number(fps));
  vrm.update(0);
  vrm.scene.updateMatrixWorld(true);
  for (const bone of Object.keys(vrm.humanoid.humanBones)) {
    (places[bone] ??= []).push(vrm.humanoid.getRawBoneNode(bone).getWorldPosition(place).toArray());
  }
}
console.log(JSON.stringify(places));
